// Builds elements without markup strings, and holds the page's texts in the person's language.

let texts = {};
let current = {};

export async function loadTexts() {
  texts = await (await fetch("/chat/static/texts.json")).json();
}

export function useLanguage(language) {
  const code = texts[language] ? language : "en";
  current = texts[code];
  document.documentElement.lang = code;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
    if (element.tagName === "BUTTON") element.title = t(element.dataset.label);
    if (element.tagName === "TEXTAREA") element.placeholder = t(element.dataset.label);
  }
}

export function t(key, values = {}) {
  return (current[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export function hue(id) {
  return Math.abs(Number(id) * 47) % 360;
}

export function avatar(id, name, isBot = false) {
  const element = h("span", { class: isBot ? "avatar bot" : "avatar", "aria-hidden": "true" });
  if (isBot) element.append(icon("shield"));
  else element.textContent = name.replace(/[^\p{L}\p{N} ]/gu, "").trim().slice(0, 1).toUpperCase() || "#";
  if (!isBot) element.style.setProperty("--hue", hue(id));
  return element;
}

export function toast(text) {
  const element = h("div", { class: "toast" }, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.classList.add("leaving"), 3600);
  setTimeout(() => element.remove(), 4000);
}

export function copy(text) {
  navigator.clipboard.writeText(text).then(() => toast(t("copied")), (error) => toast(t("failed", { reason: error.message })));
}

export function fileSize(bytes) {
  const units = ["B", "kB", "MB"];
  let unit = 0;
  while (bytes >= 1000 && unit < 2) { bytes /= 1000; unit += 1; }
  return `${bytes.toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} ${units[unit]}`;
}
