// The page: who one is, which chat is open, and what is shown of it.

import { draftElement, messageElement, typingElement } from "./bubbles.js";
import { Composer } from "./composer.js";
import { avatar, h, icon, loadTexts, t, toast, useLanguage } from "./dom.js";
import { Live } from "./live.js";

const byId = (id) => document.getElementById(id);
const CLOSE_S = 300; // messages of one sender within this time stand close together
const state = { frame: null, messages: new Map(), drafts: new Map(), actions: new Map(), chat: null, topic: 0, unread: 0, connected: false, waiting: new Map() };

const live = new Live(receive, (connected) => { state.connected = connected; showStatus(); });
const composer = new Composer(say, (message, text) => live.act({ act: "edit", chat_id: state.chat, message_id: message.id, text }), async (file) => { await live.upload(state.chat, file); });

const page = {
  showsNames: false,
  sendCommand: (text) => say(text),
  goTo,
  view,
  reply: (message) => composer.reply(message),
  edit: (message) => composer.edit(message),
  vote: (message, options) => live.act({ act: "vote", chat_id: message.chat_id, message_id: message.id, options }),
  tap,
};

function say(text, replyTo) {
  stick = true;
  live.act({ act: "say", chat_id: state.chat, text, reply_to: replyTo ?? null, thread_id: replyTo ? null : state.topic || null });
}

async function tap(message, button, element) {
  element.classList.add("busy");
  const timer = setTimeout(() => element.classList.remove("busy"), 15000);
  const answer = await live.act({ act: "tap", chat_id: message.chat_id, message_id: message.id, data: button.callback_data ?? "" });
  const done = () => { clearTimeout(timer); element.classList.remove("busy"); };
  if (!answer) done();
  else if (state.waiting.has(answer.id)) { answered(state.waiting.get(answer.id)); state.waiting.delete(answer.id); done(); }
  else state.waiting.set(answer.id, done);
}

function answered(answer) {
  if (answer.url) toast(t("opens", { url: answer.url }));
  if (!answer.text) return;
  if (!answer.show_alert) { toast(answer.text); return; }
  byId("alert-title").textContent = state.frame.bot.name;
  byId("alert-text").textContent = answer.text;
  byId("alert").showModal();
}

function receive(news) {
  switch (news.type) {
    case "state": return takeState(news);
    case "frame": return takeFrame(news);
    case "message": return takeMessage(news.message);
    case "action": state.actions.set(news.chat_id, { action: news.action, until: Date.now() + news.shown_s * 1000 }); return showEphemera();
    case "draft": state.drafts.set(news.chat_id, { ...news, until: Date.now() + news.shown_s * 1000 }); return showEphemera();
    case "listening": state.frame.bot.is_listening = news.value; return showStatus();
    case "tap": return takeAnswer(news);
  }
}

function takeAnswer(news) {
  const done = state.waiting.get(news.id);
  if (typeof done === "function") { state.waiting.delete(news.id); done(); answered(news.answer); }
  else state.waiting.set(news.id, news.answer);
}

function takeState(news) {
  state.messages = new Map();
  for (const message of news.messages) chatMessages(message.chat_id).set(message.id, message);
  state.drafts = new Map(news.drafts.map((draft) => [draft.chat_id, { ...draft, until: Date.now() + 30000 }]));
  state.actions = new Map();
  takeFrame(news.frame);
  stick = true;
  showLog();
}

function takeFrame(frame) {
  const languageChanged = state.frame?.me.language !== frame.me.language;
  state.frame = frame;
  sessionStorage.setItem("person", frame.me.id);
  live.person = frame.me.id;
  if (languageChanged) useLanguage(frame.me.language);
  if (!frame.chats.some((chat) => chat.id === state.chat)) openChat(frame.chats[0]?.id);
  document.title = frame.bot.name;
  for (const element of document.querySelectorAll("[data-bot-name]")) element.textContent = frame.bot.name;
  showSide();
  showHead();
  if (languageChanged) showLog();
}

function chatMessages(chatId) {
  if (!state.messages.has(chatId)) state.messages.set(chatId, new Map());
  return state.messages.get(chatId);
}

function takeMessage(message) {
  const messages = chatMessages(message.chat_id);
  if (message.is_deleted) messages.delete(message.id); else messages.set(message.id, message);
  if (message.from_bot) { state.drafts.delete(message.chat_id); state.actions.delete(message.chat_id); }
  const { pinned } = state.frame.chats.find((chat) => chat.id === message.chat_id) ?? {};
  if (pinned?.id === message.id && message.text) pinned.text = message.text.replace(/\s+/g, " ").slice(0, 120);
  showSide();
  if (message.chat_id !== state.chat) return;
  if (pinned?.id === message.id) showHead();
  const old = byId(`m${message.id}`);
  if (message.is_deleted) { old?.remove(); regroup(); }
  else if (!isInTopic(message)) old?.remove();
  else if (old) replaceMessage(old, message);
  else {
    appendMessage(message);
    if (message.asks_reply) composer.reply(message, message.asks_reply.placeholder);
  }
  showEphemera();
}

// --- the conversation -------------------------------------------------------------------------------------------

let stick = true;
const log = byId("log");

log.addEventListener("scroll", () => {
  stick = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  if (stick) state.unread = 0;
  showJump();
});
new ResizeObserver(() => { if (stick) toEnd(); }).observe(log);

log.addEventListener("load", () => { if (stick) toEnd(); }, true);

function toEnd() { log.scrollTop = log.scrollHeight; }

function showJump() {
  byId("jump").hidden = stick;
  byId("unread").textContent = state.unread || "";
}

byId("jump").addEventListener("click", () => log.scrollTo({ top: log.scrollHeight, behavior: "smooth" }));

function isInTopic(message) { return !state.topic || message.thread_id === state.topic; }

function openChat(chatId) {
  state.chat = chatId ?? null;
  state.topic = 0;
  state.unread = 0;
  composer.clearContext();
  showSide();
  showHead();
  stick = true;
  showLog();
}

function showLog() {
  const chat = currentChat();
  page.showsNames = chat ? chat.type !== "private" : false;
  log.replaceChildren();
  for (const message of [...chatMessages(state.chat).values()].filter(isInTopic).sort((a, b) => a.id - b.id)) log.append(messageElement(message, page));
  regroup();
  showEphemera();
  toEnd();
}

function appendMessage(message) {
  const element = messageElement(message, page);
  element.classList.add("arriving");
  const later = [...log.querySelectorAll("[id^=m]")].find((other) => Number(other.id.slice(1)) > message.id);
  if (later) later.before(element); else log.append(element);
  if (message.is_own) stick = true; else if (!stick) state.unread += 1;
  regroup();
  showJump();
}

function replaceMessage(old, message) {
  const element = messageElement(message, page);
  const wasOpen = [...old.querySelectorAll("blockquote.expandable")].map((quote) => quote.classList.contains("open"));
  const focusAt = [...old.querySelectorAll("button, a")].indexOf(document.activeElement);
  element.className = old.className.replace("arriving", "").replace("changed", "");
  if (message.is_edited) element.classList.add("changed");
  log.setAttribute("aria-live", "off");
  old.replaceWith(element);
  element.querySelectorAll("blockquote.expandable").forEach((quote, index) => { if (wasOpen[index]) quote.querySelector(".expand").click(); });
  if (focusAt >= 0) element.querySelectorAll("button, a")[focusAt]?.focus({ preventScroll: true });
  log.setAttribute("aria-live", "polite");
  if (stick) toEnd();
}

function regroup() {
  for (const element of log.querySelectorAll(".day, .empty")) element.remove();
  let before = null;
  let day = "";
  for (const element of [...log.querySelectorAll(".message:not(.draft):not(.typing), .service")]) {
    const message = chatMessages(state.chat).get(Number(element.id.slice(1)));
    const today = dayName(message.date);
    if (today !== day) { element.before(h("div", { class: "day" }, h("span", {}, today))); before = null; }
    day = today;
    const isClose = before && !message.service && !before.service && before.sender.id === message.sender.id && message.date - before.date < CLOSE_S && before.buttons.length === 0;
    element.classList.toggle("close", Boolean(isClose));
    before = message;
  }
  if (!before) log.append(emptyState());
}

function dayName(unix) {
  const date = new Date(unix * 1000);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  if (days === 0) return t("today");
  if (days === 1) return t("yesterday");
  return date.toLocaleDateString(document.documentElement.lang, { weekday: "long", day: "numeric", month: "long" });
}

function emptyState() {
  const { bot } = state.frame ?? { bot: { name: "", description: "" } };
  const start = currentChat()?.type === "private" ? h("button", { type: "button", class: "primary", onclick: () => say("/start") }, t("start")) : null;
  return h("div", { class: "empty" }, avatar(0, "", true), h("strong", {}, bot.name), h("p", {}, bot.description || t("empty")), start);
}

function showEphemera() {
  for (const element of log.querySelectorAll(".draft, .typing")) element.remove();
  const now = Date.now();
  const draft = state.drafts.get(state.chat);
  const action = state.actions.get(state.chat);
  const showsDraft = draft && draft.until > now && draft.text;
  if (showsDraft) log.append(draftElement(draft));
  else if (action && action.until > now) log.append(typingElement());
  if (stick) toEnd();
  showStatus();
  clearTimeout(showEphemera.timer);
  const next = Math.min(draft?.until > now ? draft.until : Infinity, action?.until > now ? action.until : Infinity);
  if (next < Infinity) showEphemera.timer = setTimeout(showEphemera, next - now + 20);
}

function goTo(messageId) {
  const element = byId(`m${messageId}`);
  if (!element) return;
  element.scrollIntoView({ block: "center", behavior: "smooth" });
  element.classList.remove("found");
  requestAnimationFrame(() => element.classList.add("found"));
}

function view(url, text) {
  byId("viewer-image").src = url;
  byId("viewer-image").alt = text;
  byId("viewer").showModal();
}

byId("viewer").addEventListener("click", (event) => { if (event.target.id === "viewer") byId("viewer").close(); });

// --- around the conversation ------------------------------------------------------------------------------------

function currentChat() { return state.frame?.chats.find((chat) => chat.id === state.chat); }

function showStatus() {
  if (!state.frame) return;
  const action = state.actions.get(state.chat);
  const isActing = action && action.until > Date.now();
  const element = byId("status");
  const { bot } = state.frame;
  const actionText = { typing: "typing", upload_photo: "upload_photo", upload_document: "upload_document" }[action?.action] ?? "working";
  const chat = currentChat();
  let text = bot.is_listening ? t("online") : t("offline");
  if (chat && chat.type !== "private" && bot.is_listening) text = t("members", { count: chat.members });
  if (!state.connected) text = t("connecting");
  else if (isActing) text = t(actionText);
  if (element.textContent !== text) element.textContent = text;
  element.className = state.connected && bot.is_listening ? (isActing ? "acting" : "online") : "away";
  element.title = bot.is_listening ? "" : t("not_running_hint");
}

function showHead() {
  const chat = currentChat();
  const { bot, me } = state.frame;
  const isPrivate = !chat || chat.type === "private";
  byId("title").textContent = isPrivate ? bot.name : chat.title;
  byId("head-avatar").replaceWith(Object.assign(avatar(chat?.id ?? 0, chat?.title ?? "", isPrivate), { id: "head-avatar" }));
  byId("me").replaceChildren(avatar(me.id, me.name), h("span", {}, me.name));
  const pinned = chat?.pinned;
  byId("pinned").hidden = !pinned;
  if (pinned) {
    byId("pinned").replaceChildren(icon("pin"), h("span", {}, h("strong", {}, t("pinned")), h("span", {}, pinned.text)));
    byId("pinned").onclick = () => goTo(pinned.id);
  }
  showTopics(chat);
  composer.commands = chat?.commands ?? [];
  byId("slash").hidden = composer.commands.length === 0;
  byId("unblock").hidden = !(isPrivate && me.has_blocked);
  byId("composer").hidden = isPrivate && me.has_blocked;
  showStatus();
}

function showTopics(chat) {
  const topics = chat?.topics ?? [];
  byId("topics").hidden = topics.length === 0;
  const chip = (id, name) => h("button", { type: "button", class: "chip", "aria-pressed": String(state.topic === id), onclick: () => { state.topic = id; stick = true; showHead(); showLog(); } }, name);
  byId("topics").replaceChildren(chip(0, t("all_topics")), ...topics.map((topic) => chip(topic.id, topic.name)));
}

function showSide() {
  const { me, people, chats, bot } = state.frame;
  byId("people").replaceChildren(...people.map((person) => row({
    picture: avatar(person.id, person.name), title: person.name, detail: person.note || `id ${person.id}`, isChosen: person.id === me.id,
    onclick: () => { closeSide(); composer.clearContext(); state.chat = null; live.connect(person.id); },
  })));
  byId("chats").replaceChildren(...chats.map((chat) => {
    const last = [...chatMessages(chat.id).values()].findLast((message) => preview(message));
    const isPrivate = chat.type === "private";
    return row({
      picture: avatar(chat.id, chat.title, isPrivate), title: isPrivate ? bot.name : chat.title, detail: last ? preview(last) : t("empty"),
      isChosen: chat.id === state.chat, onclick: () => { closeSide(); openChat(chat.id); },
    });
  }));
  byId("language").value = ["en", "es"].includes(me.language) ? me.language : "en";
}

function preview(message) { return (message.text || message.document?.name || message.poll?.question || "").split("\n")[0]; }

function row({ picture, title, detail, isChosen, onclick }) {
  return h("button", { type: "button", class: "row", "aria-pressed": String(isChosen), onclick }, picture, h("span", {}, h("strong", {}, title), h("small", {}, detail)));
}

function openSide() { byId("side").classList.add("open"); byId("veil").hidden = false; byId("close-side").focus(); }
function closeSide() { byId("side").classList.remove("open"); byId("veil").hidden = true; }

byId("me").addEventListener("click", openSide);
byId("close-side").addEventListener("click", closeSide);
byId("veil").addEventListener("click", closeSide);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeSide(); });
byId("language").addEventListener("change", (event) => live.act({ act: "language", language: event.target.value }));
byId("unblock").addEventListener("click", () => live.act({ act: "block", value: false }));

history.replaceState(null, "", "/chat"); // the key stays out of the address bar
await loadTexts();
live.connect(sessionStorage.getItem("person"));
