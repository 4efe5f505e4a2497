// The live feed: server-sent events that go on where they stopped, and say when they do not go on.
const SILENT_MS = 25_000; // a heartbeat comes every 10 s

/** Calls `heard(topic, body)` for each event, `again()` when something was missed, `state(open)` when the line changes. */
export class Feed {
  #source = null;
  #last = null;
  #heardAt = 0;
  #wait = 1000;

  constructor({ heard, again, state }) {
    Object.assign(this, { heard, again, state });
    addEventListener("online", () => this.#connect());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#look());
    setInterval(() => this.#look(), 5000);
    this.#connect();
  }

  #look() {
    if (performance.now() - this.#heardAt > SILENT_MS) this.#connect();
  }

  #connect() {
    this.#source?.close();
    this.#heardAt = performance.now();
    const source = new EventSource("/api/v1/feed" + (this.#last ? `?after=${encodeURIComponent(this.#last)}` : ""));
    this.#source = source;
    const on = (topic, then) =>
      source.addEventListener(topic, (event) => {
        this.#heardAt = performance.now();
        if (event.lastEventId) this.#last = event.lastEventId;
        then(event);
      });
    on("hello", () => {
      this.#wait = 1000;
      this.state(true);
      this.again();
    });
    on("heartbeat", () => this.state(true));
    on("resync", () => this.again());
    on("end", () => this.#lost());
    for (const topic of ["alarm", "fault", "register", "order", "duty"]) {
      on(topic, (event) => this.heard(topic, JSON.parse(event.data)));
    }
    source.onerror = () => this.#lost();
  }

  #lost() {
    this.#source?.close();
    this.state(false);
    setTimeout(() => this.#connect(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, 15_000);
  }
}
