// Where a person writes: the input that grows, the command menu, replying and editing, files.

import { h, t } from "./dom.js";

const byId = (id) => document.getElementById(id);

export class Composer {
  constructor(onSay, onEdit, onFile) {
    this.input = byId("input");
    this.menu = byId("commands");
    this.commands = [];
    this.context = null;
    this.selected = -1;
    this.onSay = onSay;
    this.onEdit = onEdit;
    byId("composer").addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.input.addEventListener("input", () => { this.grow(); this.suggest(); });
    this.input.addEventListener("keydown", (event) => this.key(event));
    byId("slash").addEventListener("click", () => this.toggleMenu());
    byId("context-close").addEventListener("click", () => this.clearContext());
    byId("attach").addEventListener("click", () => byId("file").click());
    byId("file").addEventListener("change", () => { const [file] = byId("file").files; if (file) onFile(file); byId("file").value = ""; });
    this.input.addEventListener("paste", (event) => { const [file] = event.clipboardData.files; if (file) { event.preventDefault(); onFile(file); } });
    document.addEventListener("click", (event) => { if (!event.target.closest(".foot")) this.hideMenu(); });
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 180)}px`;
    byId("send").classList.toggle("ready", this.input.value.trim() !== "");
  }

  submit() {
    const text = this.input.value.trim();
    if (!text) return;
    const context = this.context;
    this.input.value = "";
    this.clearContext();
    this.hideMenu();
    this.grow();
    if (context?.kind === "edit") this.onEdit(context.message, text);
    else this.onSay(text, context?.message.id);
    this.input.focus();
  }

  key(event) {
    const isOpen = !this.menu.hidden;
    if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.select(this.selected + (event.key === "ArrowDown" ? 1 : -1));
    } else if (isOpen && event.key === "Tab" && this.shown.length) {
      event.preventDefault();
      this.fill(this.shown[Math.max(this.selected, 0)]);
    } else if (event.key === "Escape") {
      if (isOpen) this.hideMenu(); else this.clearContext();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (isOpen && this.selected >= 0) this.choose(this.shown[this.selected]); else this.submit();
    }
  }

  suggest() {
    const match = /^\/([a-z0-9_]*)$/i.exec(this.input.value);
    if (match) this.showMenu(match[1].toLowerCase()); else this.hideMenu();
  }

  toggleMenu() {
    if (this.menu.hidden) { this.showMenu(""); this.input.focus(); } else this.hideMenu();
  }

  showMenu(prefix) {
    this.shown = this.commands.filter((command) => command.command.startsWith(prefix));
    this.selected = -1;
    this.menu.replaceChildren(...this.shown.map((command, index) => h("button", {
      type: "button", class: "command-row", role: "option", id: `c${index}`, "aria-selected": "false", onclick: () => this.choose(command),
    }, h("strong", {}, `/${command.command}`), h("span", {}, command.description))));
    this.menu.hidden = this.shown.length === 0;
    byId("slash").setAttribute("aria-expanded", String(!this.menu.hidden));
  }

  hideMenu() {
    this.menu.hidden = true;
    this.selected = -1;
    byId("slash").setAttribute("aria-expanded", "false");
  }

  select(index) {
    this.selected = (index + this.shown.length) % this.shown.length;
    for (const [position, row] of [...this.menu.children].entries()) {
      row.setAttribute("aria-selected", String(position === this.selected));
      if (position === this.selected) row.scrollIntoView({ block: "nearest" });
    }
  }

  choose(command) {
    this.input.value = "";
    this.grow();
    this.hideMenu();
    this.onSay(`/${command.command}`);
  }

  fill(command) {
    this.input.value = `/${command.command} `;
    this.hideMenu();
    this.grow();
  }

  reply(message, placeholder) {
    this.setContext("reply", message, message.sender.name);
    if (placeholder) this.input.placeholder = placeholder;
  }

  edit(message) {
    this.setContext("edit", message, t("editing"));
    this.input.value = message.text;
    this.grow();
  }

  setContext(kind, message, name) {
    this.context = { kind, message };
    byId("context-icon").setAttribute("href", `#i-${kind}`);
    byId("context-name").textContent = name;
    byId("context-text").textContent = message.text || message.document?.name || t("picture");
    byId("context").hidden = false;
    this.input.focus();
  }

  clearContext() {
    if (this.context?.kind === "edit") { this.input.value = ""; this.grow(); }
    this.context = null;
    this.input.placeholder = t("message");
    byId("context").hidden = true;
  }
}
