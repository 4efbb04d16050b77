// The connection to the playground: news over a WebSocket that comes back by itself, acts by POST.

import { t, toast } from "./dom.js";

const FIRST_DELAY_MS = 300;
const LAST_DELAY_MS = 5000;

export class Live {
  constructor(onNews, onConnection) {
    this.onNews = onNews;
    this.onConnection = onConnection;
    this.delay = FIRST_DELAY_MS;
    this.socket = null;
    this.person = null;
  }

  connect(person) {
    this.person = person;
    clearTimeout(this.timer);
    if (this.socket) { this.socket.onclose = null; this.socket.onmessage = null; this.socket.close(); }
    const query = person ? `?as=${encodeURIComponent(person)}` : "";
    const socket = new WebSocket(`ws://${location.host}/chat/live${query}`);
    this.socket = socket;
    socket.onopen = () => { this.delay = FIRST_DELAY_MS; this.onConnection(true); };
    socket.onmessage = (event) => this.onNews(JSON.parse(event.data));
    socket.onclose = () => {
      this.onConnection(false);
      this.timer = setTimeout(() => this.connect(this.person), this.delay);
      this.delay = Math.min(this.delay * 2, LAST_DELAY_MS);
    };
  }

  async act(order) {
    return this.#post(`/chat/act?as=${this.person}`, { body: JSON.stringify(order), headers: { "Content-Type": "application/json" } });
  }

  async upload(chatId, file) {
    const query = new URLSearchParams({ as: this.person, chat: chatId, name: file.name });
    return this.#post(`/chat/upload?${query}`, { body: file, headers: { "Content-Type": file.type || "application/octet-stream" } });
  }

  async #post(url, options) {
    let answer;
    try {
      const response = await fetch(url, { method: "POST", ...options });
      answer = await response.json();
    } catch {
      toast(t("unreachable"));
      return null;
    }
    if (answer.error) { toast(t("failed", { reason: answer.error })); return null; }
    return answer;
  }
}
