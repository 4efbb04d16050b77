// Draws one message: its bubble, media, reply, reactions and inline keyboard.

import { copy, fileSize, h, hue, icon, t } from "./dom.js";
import { richText } from "./richtext.js";

export function time(unix) {
  return new Date(unix * 1000).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

export function messageElement(message, page) {
  if (message.service) {
    return h("div", { class: "service", id: `m${message.id}` }, t(message.service.kind, message.service));
  }
  const isMedia = message.photo && !message.text;
  const bubble = h("div", { class: isMedia ? "bubble media" : "bubble" },
    page.showsNames && !message.is_own ? senderName(message) : null,
    message.is_forwarded ? h("div", { class: "forwarded" }, icon("forward"), t("forwarded")) : null,
    message.reply ? quote(message.reply, page) : null,
    message.photo ? photo(message, page) : null,
    message.document ? documentLink(message.document) : null,
    message.poll ? poll(message, page) : null,
    message.text ? h("div", { class: "text", dir: "auto" }, richText(message.text, message.entities, page.sendCommand)) : null,
    foot(message));
  const column = h("div", { class: "column" }, bubble, message.buttons.length ? keyboard(message, page) : null);
  const element = h("article", { class: `message ${message.is_own ? "own" : "other"}`, id: `m${message.id}`, "aria-label": `${message.sender.name}, ${time(message.date)}` },
    column, actions(message, page));
  bubble.addEventListener("click", (event) => { if (!event.target.closest("a, button, code, pre, .spoiler")) element.classList.toggle("chosen"); });
  return element;
}

function senderName(message) {
  const name = h("div", { class: "sender" }, message.sender.name, message.from_bot ? h("span", { class: "tag" }, t("bot")) : null);
  name.style.setProperty("--hue", hue(message.sender.id));
  return name;
}

function quote(reply, page) {
  return h("button", { type: "button", class: "quote", onclick: () => page.goTo(reply.id) },
    h("strong", {}, reply.name), h("span", {}, reply.text || t("deleted_reply")));
}

function photo(message, page) {
  const url = `/chat/file/${message.photo.file_id}`;
  const image = h("img", { src: url, alt: message.text || t("picture"), width: message.photo.width, height: message.photo.height, loading: "lazy" });
  return h("button", { type: "button", class: "photo", "aria-label": message.text || t("picture"), onclick: () => page.view(url, message.text) }, image);
}

function documentLink(file) {
  const url = `/chat/file/${file.file_id}`;
  return h("a", { class: "document", href: url, download: file.name, "aria-label": t("save", { name: file.name, size: fileSize(file.size) }) },
    h("span", { class: "document-icon" }, icon("file")),
    h("span", { class: "document-text" }, h("strong", {}, file.name), h("small", {}, fileSize(file.size))));
}

function poll(message, page) {
  const { poll: data } = message;
  const options = data.options.map((option, index) => {
    const share = data.total_voter_count ? Math.round((100 * option.voter_count) / data.total_voter_count) : 0;
    const isChosen = data.own.includes(index);
    const row = h("button", { type: "button", class: isChosen ? "option chosen" : "option", disabled: data.is_closed, "aria-pressed": String(isChosen),
      onclick: () => page.vote(message, isChosen ? [] : [index]) },
      h("span", { class: "option-text" }, option.text), h("span", { class: "option-share" }, `${share} %`));
    row.style.setProperty("--share", `${share}%`);
    return row;
  });
  return h("div", { class: "poll" }, h("strong", {}, data.question), h("small", {}, t(data.is_closed ? "poll_closed" : "poll")), ...options,
    h("small", {}, t("votes", { count: data.total_voter_count })));
}

function foot(message) {
  const silent = message.is_silent && message.from_bot ? h("span", { title: t("silent"), class: "mark" }, icon("mute")) : null;
  const edited = message.is_edited ? h("span", { class: "edited", title: earlier(message) }, t("edited")) : null;
  const reactions = message.reactions.map((emoji) => h("span", { class: "reaction" }, emoji));
  return h("div", { class: "foot-line" }, h("span", { class: "reactions" }, ...reactions),
    h("span", { class: "meta" }, silent, edited, h("time", { datetime: new Date(message.date * 1000).toISOString() }, time(message.date))));
}

function earlier(message) {
  return [t("earlier"), ...message.versions.slice(-3).map((text) => `· ${text.slice(0, 200)}`)].join("\n");
}

function keyboard(message, page) {
  const rows = message.buttons.map((row) => h("div", { class: "keys-row" }, ...row.map((button) => key(button, message, page))));
  return h("div", { class: "keys" }, ...rows);
}

function key(button, message, page) {
  const style = ["danger", "success", "primary"].includes(button.style) ? ` ${button.style}` : "";
  const url = button.url ?? button.web_app?.url ?? button.login_url?.url;
  if (url && /^(https?|tg):/i.test(url)) {
    return h("a", { class: `key${style}`, href: url, target: "_blank", rel: "noopener noreferrer", title: t("opens", { url }) }, h("span", {}, button.text), icon("link"));
  }
  if (button.copy_text) {
    return h("button", { type: "button", class: `key${style}`, onclick: () => copy(button.copy_text.text) }, h("span", {}, button.text), icon("copy"));
  }
  const element = h("button", { type: "button", class: `key${style}` }, h("span", {}, button.text));
  element.addEventListener("click", () => page.tap(message, button, element));
  return element;
}

function actions(message, page) {
  const reply = h("button", { type: "button", class: "icon small", "aria-label": t("reply"), title: t("reply"), onclick: () => page.reply(message) }, icon("reply"));
  const canEdit = message.is_own && message.text && !message.photo && !message.document && !message.is_forwarded;
  const edit = canEdit ? h("button", { type: "button", class: "icon small", "aria-label": t("edit"), title: t("edit"), onclick: () => page.edit(message) }, icon("edit")) : null;
  return h("div", { class: "actions" }, reply, edit);
}

export function draftElement(draft) {
  return h("div", { class: "message other draft", "aria-hidden": "true" },
    h("div", { class: "column" }, h("div", { class: "bubble" }, h("div", { class: "text" }, richText(draft.text, draft.entities, () => {}), h("span", { class: "caret" })))));
}

export function typingElement() {
  return h("div", { class: "message other typing", "aria-hidden": "true" },
    h("div", { class: "column" }, h("div", { class: "bubble dots" }, h("i"), h("i"), h("i"))));
}
