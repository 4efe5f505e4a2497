// One alarm on a page or beside the list: it changes by itself without taking away what somebody types.

export async function fetchText(address) {
  const answer = await fetch(address, { headers: { "HX-Request": "true" } });
  if (answer.redirected) location.assign(`/login?to=${encodeURIComponent(location.pathname)}`);
  return answer.status === 204 || !answer.ok ? "" : answer.text();
}

/** Say that something new is on the page: ages are filled in at once. */
export function fresh() {
  document.dispatchEvent(new Event("fresh"));
}

export function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/** The alarm inside of `container` (a <main> or <aside>): looks again, swaps, and keeps what is being typed. */
export class Alarm {
  #container;
  #due = null;

  constructor(container) {
    this.#container = container;
    container.addEventListener("input", (event) => {
      const article = event.target.closest(".alarm");
      if (article) article.dataset.typed = "yes";
    });
    container.addEventListener("submit", (event) => tooLarge(event), true);
    new MutationObserver(() => this.#swapped()).observe(container, { childList: true });
  }

  get article() {
    return this.#container.querySelector(".alarm[data-alarm]");
  }

  get id() {
    return this.article?.dataset.alarm;
  }

  /** Show another alarm, or this one wholly anew. */
  async open(id) {
    const html = await fetchText(`/alarms/${id}`);
    const found = html && parse(html).querySelector(".alarm");
    this.#container.replaceChildren(...(found ? [found] : []));
    if (found) globalThis.htmx?.process(found);
  }

  /** Something was heard of it; what comes together is looked at once. */
  heard() {
    this.#due ??= setTimeout(() => this.#look(), 200);
  }

  async #look() {
    this.#due = null;
    const article = this.article;
    if (!article) return;
    const html = await fetchText(`/alarms/${article.dataset.alarm}/now`);
    const page = html && parse(html);
    const head = page && page.getElementById("now-head");
    if (!head || article !== this.article) return;
    article.querySelector("#now-head").replaceWith(head);
    article.querySelector("#now-rest").replaceWith(page.getElementById("now-rest"));
    for (const tone of ["sent", "seen", "back"]) article.classList.toggle(tone, head.classList.contains(tone));
    fresh();
    if (head.dataset.forms !== article.querySelector("#acts").dataset.forms) {
      if (article.dataset.typed) this.#offer(article);
      else await this.open(article.dataset.alarm);
    }
  }

  #offer(article) {
    if (article.querySelector(".changed")) return;
    const note = document.createElement("p");
    note.className = "changed";
    note.setAttribute("role", "status");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = article.dataset.look;
    button.addEventListener("click", () => this.#anew(article));
    note.append(article.dataset.changed, button);
    article.querySelector("#acts h2").after(note);
  }

  /** The forms as they are now, with the words that were typed into those that are still there. */
  async #anew(article) {
    const typed = [...article.querySelectorAll(".do[open] :is(textarea, input[type=text])")].map((one) => [one.closest(".do").id, one.name, one.value]);
    await this.open(article.dataset.alarm);
    for (const [form, name, value] of typed) {
      const field = value && document.getElementById(form)?.querySelector(`[name="${name}"]`);
      if (!field) continue;
      for (let outer = field.closest("details"); outer; outer = outer.parentElement.closest("details")) outer.open = true;
      field.value = value;
      this.article.dataset.typed = "yes";
    }
  }

  #swapped() {
    fresh();
    const said = this.article?.querySelector("#acts .problem, .guards .problem, #acts .done");
    if (!said || document.activeElement !== document.body) return;
    said.tabIndex = -1;
    said.focus({ preventScroll: false });
  }

  /** Open one form and go to its first field. */
  form(name) {
    const form = this.article?.querySelector(`#do-${name}`);
    if (!form) return false;
    for (let outer = form; outer; outer = outer.parentElement?.closest("details")) outer.open = true;
    form.scrollIntoView({ block: "nearest" });
    form.querySelector("form :is(textarea, select, input:not([type=hidden]), button)")?.focus();
    return true;
  }

  /** What a key does to it; whether it did something. */
  key(key) {
    const forms = { c: ["call-back"], d: ["dispatch"], o: ["on-scene"], r: ["resolve"], n: ["notes"] }[key] ?? [];
    if (key === "a") {
      const take = this.article?.querySelector("form.first button");
      take?.click();
      return Boolean(take);
    }
    return forms.some((name) => this.form(name));
  }
}

function tooLarge(event) {
  const form = event.target;
  const file = form.querySelector?.("input[type=file]")?.files[0];
  if (!form.dataset.most || !file || file.size <= Number(form.dataset.most)) return;
  event.preventDefault();
  event.stopPropagation();
  form.querySelector(".problem")?.remove();
  const said = document.createElement("p");
  said.className = "problem";
  said.setAttribute("role", "alert");
  said.textContent = form.dataset.large;
  form.prepend(said);
}

/** Whether keys are for what is being typed. */
export function typing(event) {
  return event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey;
}
