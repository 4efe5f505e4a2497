// A part of a page that is asked for again whenever something happened, for ever: `live(part, address)`.
import { Feed } from "./feed.js";
import { age } from "./page.js";

const OFTEN_MS = 1000;
const ANYWAY_MS = 30_000;

/** Keeps what somebody is typing into: a piece with an open form stays as it is until the form is closed. */
function keepOpen(part, fresh) {
  for (const old of part.querySelectorAll("[id]")) {
    if (old.querySelector(":scope details[open] form") === null) continue;
    const other = fresh.querySelector(`#${CSS.escape(old.id)}`);
    if (other) other.replaceWith(old);
  }
}

export function live(part, address, after = () => {}) {
  const line = document.getElementById("line");
  const lost = document.getElementById("lost");
  let waits = null;
  let asking = false;
  let again = false;

  function show(open) {
    if (line) {
      line.className = `line ${open ? "open" : "lost"}`;
      line.textContent = open ? line.dataset.open : line.dataset.lost;
    }
    if (lost) lost.hidden = open;
  }

  async function ask() {
    waits = null;
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const answer = await fetch(address, { headers: { "HX-Request": "true" }, cache: "no-store" });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(`<body>${await answer.text()}</body>`, "text/html").body;
      const focus = part.contains(document.activeElement) ? document.activeElement : null;
      const place = focus?.id || focus?.closest("[id]")?.id;
      for (const time of fresh.querySelectorAll("time.age")) time.textContent = age((Date.now() - Date.parse(time.dateTime)) / 1000);
      keepOpen(part, fresh);
      part.replaceChildren(...fresh.childNodes);
      if (focus && !document.contains(focus) && place) {
        const found = document.getElementById(place);
        (found?.matches("a, button, summary, input, [tabindex]") ? found : found?.querySelector("a, button, summary"))?.focus();
      } else if (focus && document.contains(focus)) focus.focus();
      show(true);
      after(part);
    } catch {
      show(false); // the next beat asks again, whatever it was
    } finally {
      asking = false;
      if (again) {
        again = false;
        soon();
      }
    }
  }

  function soon() {
    waits ??= setTimeout(ask, OFTEN_MS);
  }

  new Feed({ heard: soon, again: soon, state: (open) => (open ? null : show(false)) });
  setInterval(soon, ANYWAY_MS);
}
