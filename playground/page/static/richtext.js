// Turns a text with Telegram entities into elements; offsets are UTF-16 units, as JavaScript counts.

import { copy, h, icon, t } from "./dom.js";

const INLINE = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", hashtag: "span" };
const SAFE_LINK = /^(https?|mailto|tel|tg|ftp):/i;

export function richText(text, entities, onCommand) {
  const sorted = entities
    .filter((entity) => entity.length > 0)
    .map((entity) => ({ ...entity, end: entity.offset + entity.length }))
    .sort((a, b) => a.offset - b.offset || b.end - a.end);
  return render(text, 0, text.length, sorted, onCommand);
}

function render(text, start, end, entities, onCommand) {
  const fragment = document.createDocumentFragment();
  let position = start;
  let rest = entities;
  while (rest.length > 0) {
    const [entity, ...others] = rest;
    if (entity.offset >= end) break;
    const from = Math.max(entity.offset, position);
    const to = Math.min(entity.end, end);
    if (from > position) fragment.append(text.slice(position, from));
    const inside = others.filter((other) => other.offset < to).map((other) => ({ ...other, end: Math.min(other.end, to) }));
    const beyond = others.filter((other) => other.end > to).map((other) => ({ ...other, offset: Math.max(other.offset, to) }));
    const content = render(text, from, to, inside, onCommand);
    fragment.append(wrap(entity, text.slice(from, to), content, onCommand));
    position = to;
    rest = beyond.sort((a, b) => a.offset - b.offset || b.end - a.end);
    if (isBlock(entity) && text[position] === "\n") position += 1;
  }
  if (position < end) fragment.append(text.slice(position, end));
  return fragment;
}

function isBlock(entity) {
  return ["pre", "blockquote", "expandable_blockquote"].includes(entity.type);
}

function wrap(entity, raw, content, onCommand) {
  switch (entity.type) {
    case "code":
      return h("code", { title: t("copy"), onclick: () => copy(raw) }, content);
    case "pre":
      return pre(entity, raw);
    case "blockquote":
      return h("blockquote", {}, content);
    case "expandable_blockquote":
      return expandable(content);
    case "spoiler":
      return spoiler(content);
    case "bot_command":
      return h("button", { type: "button", class: "command", onclick: () => onCommand(raw) }, raw);
    case "url":
      return link(/^[a-z]+:\/\//i.test(raw) ? raw : `https://${raw}`, content);
    case "email":
      return link(`mailto:${raw}`, content);
    case "text_link":
      return link(entity.url, content);
    case "date_time":
      return h("time", { datetime: new Date(entity.unix_time * 1000).toISOString() }, moment(entity.unix_time));
    case "mention":
    case "text_mention":
      return h("span", { class: "mention" }, content);
    default:
      return INLINE[entity.type] ? h(INLINE[entity.type], {}, content) : content;
  }
}

function moment(unix) {
  return new Date(unix * 1000).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
}

function link(url, content) {
  if (!SAFE_LINK.test(url)) return h("span", {}, content);
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer", title: url }, content);
}

function pre(entity, raw) {
  const button = h("button", { type: "button", class: "copy", "aria-label": t("copy"), title: t("copy"), onclick: () => copy(raw) }, icon("copy"));
  return h("div", { class: "pre" },
    h("div", { class: "pre-head" }, h("span", {}, entity.language ?? ""), button),
    h("pre", { tabindex: "0" }, h("code", {}, ...(entity.language === "diff" ? changed(raw) : [raw.replace(/\n$/, "")]))));
}

function changed(raw) {
  const kinds = { "+": "added", "-": "gone" };
  return raw.replace(/\n$/, "").split("\n").map((line) => h("span", { class: `diff ${kinds[line[0]] ?? ""}` }, `${line}\n`));
}

function expandable(content) {
  const body = h("div", { class: "quote-body" }, content);
  const label = h("span", {}, t("show_more"));
  const button = h("button", { type: "button", class: "expand", "aria-expanded": "false" }, label, icon("down"));
  const quote = h("blockquote", { class: "expandable" }, body, button);
  button.addEventListener("click", () => {
    const isOpen = quote.classList.toggle("open");
    button.setAttribute("aria-expanded", String(isOpen));
    label.textContent = t(isOpen ? "show_less" : "show_more");
  });
  requestAnimationFrame(() => { button.hidden = body.scrollHeight <= body.clientHeight + 2; });
  return quote;
}

function spoiler(content) {
  const inner = h("span", { class: "spoiler-text" }, content);
  const element = h("span", { class: "spoiler", role: "button", tabindex: "0", "aria-label": t("spoiler") }, inner);
  const reveal = () => {
    element.classList.add("revealed");
    element.removeAttribute("role");
    element.removeAttribute("tabindex");
    element.removeAttribute("aria-label");
  };
  element.addEventListener("click", reveal);
  element.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); reveal(); } });
  return element;
}
