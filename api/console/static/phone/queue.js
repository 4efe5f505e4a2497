// What has to reach the station: kept on this phone, and sent again until the station answers.
//
//   const queue = new Queue();
//   await queue.open();
//   queue.add({ path: "/alarms", body, about: "press", urgent: true, until: Date.now() + 600_000 })
//
// An item is `{ id, method, path, body, key, about, urgent, until, account, made, tries, state, answer, more }`. `key` is
// its Idempotency-Key, drawn once: however often it is sent, it is done once. `body` may be a Blob; a `now` in it is this phone's
// clock at each sending. `more` is the page's. `seen`: where the thing is read whose version goes with it (If-Match), just before.
// `hidden`: nothing on this phone tells of it: it is in no list, and what is not taken is dropped without a word.
// States: `waiting` (for the network, or its turn), `sending`, `signed_out` (waits until whoever made it signs in),
// `late` (past `until`: waits for `again(id)`), `refused` (the station said no: `answer`; waits for `drop(id)`).
// What the station has answered well is gone from here, and `answered(item, answer)` is told.
import { ask, Unreachable, who } from "./api.js";

const NAME = "shouwang-phone";
const STORE = "queue";
const AGAIN = new Set([408, 425, 429]);

/** Random, also where there is no HTTPS. */
export function draw() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
}

function wanted(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
}

export class Queue extends EventTarget {
  #items = new Map();
  #database = null;
  #timer = null;
  #busy = false;
  #more = false;
  #ask;

  constructor({ askWith = ask } = {}) {
    super();
    this.#ask = askWith;
    /** Whether what is added survives closing the page. */
    this.kept = false;
  }

  /** Reads what is left from last time, and begins to send it. */
  async open() {
    try {
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
      this.#database = await wanted(request);
      const left = await wanted(this.#database.transaction(STORE).objectStore(STORE).getAll());
      for (const item of left) if (!this.#items.has(item.id)) this.#items.set(item.id, { ...item, state: item.state === "refused" ? "refused" : "waiting" });
      for (const item of this.#items.values()) await this.#keep(item); // what was added before we were open
      this.kept = true;
    } catch {
      this.kept = false; // a private window: it lives as long as the page
    }
    addEventListener("online", () => this.flush());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.flush());
    this.#changed();
    this.flush();
  }

  /** All that is not answered yet, oldest first; of one sort with `about`. */
  list(about) {
    return this.#all().filter((one) => (about ? one.about === about : !one.hidden));
  }

  #all() {
    return [...this.#items.values()].sort((a, b) => a.made - b.made || (a.id < b.id ? -1 : 1));
  }

  find(id) {
    return this.#items.get(id) ?? null;
  }

  /** Keeps it and sends it at once. Answers the item, without waiting for anything. */
  add({ method = "POST", path, body, key = draw(), about, urgent = false, until = null, more = null, hidden = false, seen = null }) {
    const item = {
      id: `${Date.now().toString(36)}-${draw()}`, method, path, body, key, about, urgent, until, more, hidden, seen,
      account: who()?.account ?? remembered(), made: Date.now(), tries: 0, state: "waiting", answer: null,
    };
    this.#items.set(item.id, item);
    this.#keep(item);
    this.#changed();
    if (urgent) this.#send(item);
    else this.flush();
    return item;
  }

  /** Changes what the page keeps beside it. */
  note(id, more) {
    const item = this.#items.get(id);
    if (!item) return;
    item.more = { ...item.more, ...more };
    this.#keep(item);
    this.#changed();
  }

  /** Somebody wants it sent after all. */
  again(id, lasts = 600_000) {
    const item = this.#items.get(id);
    if (!item) return;
    if (item.until !== null) item.until = Date.now() + lasts;
    item.state = "waiting";
    this.#keep(item);
    this.#changed();
    this.flush();
  }

  /** It is not sent any more. */
  drop(id) {
    if (!this.#items.delete(id)) return;
    this.#forget(id);
    this.#changed();
  }

  /** Tries everything that is due. */
  async flush() {
    clearTimeout(this.#timer);
    if (this.#busy) {
      this.#more = true;
      return;
    }
    this.#busy = true;
    try {
      const due = this.#all().filter((one) => ["waiting", "signed_out", "late"].includes(one.state));
      await Promise.all(due.filter((one) => one.urgent).map((one) => this.#send(one)));
      for (const item of due) {
        if (item.urgent || item.state === "sending" || !this.#items.has(item.id)) continue;
        if (!(await this.#send(item))) break; // the others would fail as well, and keep their order
      }
    } finally {
      this.#busy = false;
    }
    if (this.#more) {
      this.#more = false;
      this.flush();
    } else {
      this.#later();
    }
  }

  #later() {
    clearTimeout(this.#timer);
    const left = this.#all().filter((one) => one.state === "waiting" || one.state === "signed_out");
    if (!left.length) return;
    const wait = Math.min(...left.map((one) => (one.state === "signed_out" ? 15_000 : one.urgent ? Math.min(500 * (one.tries + 1), 3_000) : Math.min(1_000 * 2 ** one.tries, 30_000))));
    this.#timer = setTimeout(() => this.flush(), wait);
  }

  /** Whether the station could be asked. */
  async #send(item) {
    if (item.state === "sending" || !this.#items.has(item.id)) return true;
    if (item.until !== null && Date.now() > item.until) {
      if (item.hidden) this.drop(item.id);
      else this.#becomes(item, "late");
      return true;
    }
    const here = who()?.account;
    if (here && item.account && here !== item.account) {
      this.#becomes(item, "signed_out"); // another person's, who used this phone before
      return true;
    }
    this.#becomes(item, "sending");
    item.tries += 1;
    let answer;
    try {
      const body = item.body?.now ? { ...item.body, now: new Date().toISOString() } : item.body; // by which clocks are compared
      const there = item.seen ? await this.#ask("GET", item.seen, {}) : null;
      answer = there && !there.ok ? there : await this.#ask(item.method, item.path, { body, key: item.key, match: there?.etag, wait: item.urgent ? 6_000 : 30_000 });
    } catch (why) {
      this.#becomes(item, "waiting");
      if (!(why instanceof Unreachable)) throw why;
      this.#later();
      return false;
    }
    if (!this.#items.has(item.id)) return true; // dropped meanwhile
    if (answer.ok) {
      this.#items.delete(item.id);
      this.dispatchEvent(new CustomEvent("answered", { detail: { item, answer } })); // what follows from it is kept before this is gone
      this.#forget(item.id);
      this.#changed();
    } else if (answer.status === 401 || answer.body?.type === "cross_site") {
      const known = item.state === "signed_out";
      this.#becomes(item, "signed_out");
      if (!known) this.dispatchEvent(new Event("signed_out"));
      this.#later();
    } else if (answer.status >= 500 || AGAIN.has(answer.status) || (item.seen && answer.status === 412)) { // changed just then
      this.#becomes(item, "waiting");
      this.#later();
      return false;
    } else if (item.hidden) {
      this.drop(item.id);
    } else {
      item.answer = { status: answer.status, body: answer.body };
      this.#becomes(item, "refused");
      this.#keep(item);
      this.dispatchEvent(new CustomEvent("refused", { detail: { item, answer } }));
    }
    return true;
  }

  #becomes(item, state) {
    if (item.state === state) return;
    item.state = state;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("changed"));
  }

  async #keep(item) {
    if (!this.#database) return;
    try {
      await wanted(this.#database.transaction(STORE, "readwrite").objectStore(STORE).put(item));
      if (!this.#items.has(item.id)) this.#forget(item.id); // it was answered before it was kept
    } catch {
      this.kept = false; // no room: it is sent all the same
    }
  }

  async #forget(id) {
    if (!this.#database) return;
    try {
      await wanted(this.#database.transaction(STORE, "readwrite").objectStore(STORE).delete(id));
    } catch { /* it is asked again under the same key, and done once */ }
  }
}

const LAST = "shouwang-account";

/** Who was signed in on this phone last; null for nobody. */
export function remembered() {
  try { return localStorage.getItem(LAST); } catch { return null; }
}

export function remember(account) {
  try { account ? localStorage.setItem(LAST, account) : localStorage.removeItem(LAST); } catch { /* nothing is kept here */ }
}
