// What every phone page has: head, tabs, signing in, the line to the station, and drawing what changed.
//
//   start({
//     tabs: [{ id: "alarm", word: "tab_alarm", icon: "panic", badge: () => 0, draw: () => [element, ...] }, ...],
//     roles: ["household"],          whose page it is
//     load: async () => {},          asks the station; called at the start, after changes, and while the feed is silent
//     heard: (topic, body) => {},    something came by the feed (`load` follows)
//     busy: () => false,             whether to ask more often than every `pause` ms (30,000)
//     signedOut: () => [element, ...], what stands above the sign-in form; alone: () => true instead of it
//     title: () => "",               what stands before the name in the title
//     name: "page_guard",            what the page is called
//   })
//
// `draw` makes the whole tab anew each time; every top element has an `id`, and only those that differ are put in place.
import { Feed } from "../feed.js";
import "./keys.js";
import { ask, get, signIn, signOut, Unreachable, who, whoIsIt, wrong } from "./api.js";
import { language, speak, t } from "./language.js";
import { Queue, remember, remembered } from "./queue.js";

export const queue = new Queue();
/** What is done before somebody signs out. */
export const beforeLeaving = [];
/** `open`: the feed is heard; `reached`: the last request was answered; `loaded`: `load` has succeeded once. */
export const line = { open: false, reached: true, loaded: false };

const SVG = "http://www.w3.org/2000/svg";
const QUIET_POLL_MS = 30_000;
const BUSY_POLL_MS = 4_000;
const TOGETHER_MS = 150;
const THINK_MS = 500; // before it may be agreed to: a double tap has not read the question

let page = null;
let begun = false;
let message = "";
let loading = null;
let again = false;
let timer = null;
let soon = null;
let busy = () => false;

/** An element: `el("p", { class: "aside" }, "words", other)`. `onclick` and the like are listeners; null is left out. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(9).filter((one) => one !== null && one !== undefined && one !== false && one !== ""));
  return made;
}

const SPRITES = ["kinds.svg", "phone/tabs.svg", "mark.svg"];
const near = (name) => name.replace(/^.*?([a-z]+)\.svg#/, "picture-$1-");

/** Our sprites become part of this document: what is drawn without a network asks nobody for its pictures. */
async function bringPictures() {
  const held = document.createElementNS(SVG, "svg");
  held.setAttribute("hidden", "");
  await Promise.all(SPRITES.map(async (name) => {
    const answer = await fetch(`/static/${name}`);
    const sprite = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
    for (const symbol of sprite.querySelectorAll("symbol")) {
      symbol.id = near(`${name}#${symbol.id}`);
      held.append(document.adoptNode(symbol));
    }
  }));
  document.body.append(held);
  draw();
}

/** A picture out of one of our sprites: `icon("kinds.svg#fire", "kind")`. */
export function icon(name, type = "icon") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", type);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", document.getElementById(near(name)) ? `#${near(name)}` : `/static/${name}`);
  svg.append(use);
  return svg;
}

/** A button; `once` keeps it from being pressed twice while its work goes on. */
export function button(words, work, { type = "", ...attributes } = {}) {
  const made = el("button", { type: "button", class: type, ...attributes }, words);
  made.addEventListener("click", async () => {
    if (made.getAttribute("aria-busy")) return;
    made.setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (why) {
      if (!(why instanceof Unreachable)) throw why;
      line.reached = false;
      say(t("no_network"));
    } finally {
      made.removeAttribute("aria-busy");
    }
  });
  return made;
}

/** A field with its label; what is wrong with it stands beside it. */
export function field(word, name, attributes = {}, why = "") {
  const input = el("input", { name, "aria-invalid": why ? "true" : null, "aria-describedby": why ? `${name}-wrong` : null, ...attributes });
  return el("label", {}, t(word), input, why && el("span", { class: "problem", id: `${name}-wrong` }, why));
}

/** The same place in the document as it is now: it may have been drawn anew while the station was asked. */
function standsNow(place) {
  let top = place;
  while (top.parentElement) top = top.parentElement;
  if (top === document.documentElement) return place;
  const at = [...top.querySelectorAll(".wrong")].indexOf(place);
  return document.getElementById(top.id)?.querySelectorAll(".wrong")[at] ?? place;
}

/** A form: `work(values, form)` answers what was wrong, in words, or nothing. What was typed stays. */
export function form(attributes, children, work) {
  const place = el("p", { class: "problem wrong", role: "alert", hidden: true, lang: language === "zh" ? "zh-Hans" : "en" });
  const made = el("form", attributes, place, children);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (made.getAttribute("aria-busy")) return;
    made.setAttribute("aria-busy", "true");
    let why = "";
    try {
      why = (await work(Object.fromEntries(new FormData(made)), made)) ?? "";
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      why = t("no_network");
    }
    made.removeAttribute("aria-busy");
    const shown = standsNow(place);
    shown.textContent = why;
    shown.hidden = !why;
    if (why) shown.scrollIntoView({ block: "nearest" });
  });
  return made;
}

/** Says something at the foot of the page, also to whoever cannot see it. */
export function say(words) {
  message = words;
  const place = document.getElementById("said");
  place.textContent = words;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => message === words && (place.textContent = ""), 6_000);
}

/** A question with a yes and a no, in the page. */
export function sure(question, yes = t("yes"), no = t("no")) {
  return new Promise((resolve) => {
    const asked = el("dialog", { class: "sheet", "aria-labelledby": "question" });
    const end = (answer) => { asked.close(); asked.remove(); resolve(answer); };
    const agreed = el("button", { type: "button", class: "main key", disabled: true, onclick: () => end(true) }, yes);
    asked.append(el("p", { id: "question", class: "large" }, question), el("div", { class: "choices" },
      agreed, el("button", { type: "button", class: "key", onclick: () => end(false) }, no)));
    setTimeout(() => { agreed.disabled = false; }, THINK_MS);
    asked.addEventListener("cancel", () => end(false));
    document.body.append(asked);
    asked.showModal();
  });
}

/** The tab that is shown. */
export function tab() {
  const wanted = location.hash.slice(1);
  return page.tabs.find((one) => one.id === wanted) ?? page.tabs[0];
}

/** What was wrong with a form stays beside it until it is sent again, or read in another language. */
function keepWrong(had, next) {
  const [before, anew] = [had, next].map((one) => [...one.querySelectorAll(".wrong")]);
  if (before.length !== anew.length) return;
  before.forEach((one, at) => {
    if (one.hidden || one.lang !== anew[at].lang) return;
    anew[at].textContent = one.textContent;
    anew[at].hidden = false;
  });
}

function reconcile(place, wanted) {
  const typed = new Map([...place.querySelectorAll("[name]")].map((one) => [one, one.type === "checkbox" || one.type === "radio" ? one.checked : one.value]));
  const old = new Map([...place.children].map((one) => [one.id, one]));
  const focused = document.activeElement?.id;
  let before = null;
  for (const next of wanted.reverse()) {
    const had = old.get(next.id);
    old.delete(next.id);
    let stays = next;
    if (had) keepWrong(had, next);
    if (had?.isEqualNode(next)) stays = had;
    else if (had) {
      for (const [one, value] of typed) {
        if (!had.contains(one)) continue;
        const same = next.querySelector(`[name="${CSS.escape(one.name)}"]${one.type === "radio" ? `[value="${CSS.escape(one.value)}"]` : ""}`);
        if (same && same.type === one.type && same.type !== "file" && same.type !== "hidden") typeof value === "boolean" ? (same.checked = value) : (same.value = value);
      }
      had.replaceWith(next);
    }
    if (stays.parentNode !== place || stays.nextSibling !== before) place.insertBefore(stays, before);
    before = stays;
  }
  for (const gone of old.values()) gone.remove();
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/** Shows everything as it is now. */
export function draw() {
  if (!page) return;
  const shown = tab();
  const main = document.getElementById("main");
  const signedIn = who();
  const part = signedIn ? (signedIn.must.length || !mine() ? "" : `${t(shown.word)} · `) : begun && !page.alone?.() ? `${t("sign_in")} · ` : "";
  document.title = `${(page.title?.() ?? "")}${part}${t(page.name)}`;
  reconcile(document.getElementById("head"), head());
  let content;
  if (signedIn?.must.length) content = [first()];
  else if (signedIn && !mine()) content = [elsewhere()];
  else if (signedIn || (!begun && remembered()) || (remembered() && !line.reached)) content = shown.draw();
  else if (!begun) content = [el("p", { id: "loading", class: "empty" }, t("loading"))];
  else content = [...(page.signedOut?.() ?? []), page.alone?.() ? null : signInForm()];
  reconcile(main, content.filter(Boolean));
  const tabs = document.getElementById("tabs");
  tabs.hidden = !(signedIn ? mine() && !signedIn.must.length : remembered()) || page.tabs.length < 2;
  reconcile(tabs, page.tabs.map((one) => {
    const badge = one.badge?.() ?? 0;
    return el("a", { id: `tab-${one.id}`, href: `#${one.id}`, "aria-current": one === shown ? "page" : null,
      onclick: () => one === tab() && location.hash && dispatchEvent(new Event("hashchange")) }, // what was opened in it is closed
      icon(`phone/tabs.svg#${one.icon}`), el("span", {}, t(one.word)), badge ? el("b", { class: "badge" }, String(badge)) : "");
  }));
}

const mine = () => who().grants.length === 0 || who().grants.some((one) => page.roles.includes(one.role));

function head() {
  const state = line.open ? ["open", "connected"] : line.reached ? ["", "connecting"] : ["lost", "not_connected"];
  const signedIn = who() !== null;
  return [
    el("a", { id: "brand", class: "brand", href: location.pathname }, icon("mark.svg#mark"), t("shouwang")),
    el("span", { id: "line", class: `line ${signedIn || !line.reached ? state[0] : ""}`, role: "status", hidden: !who()?.grants.length && line.reached }, t(state[1])),
    el("button", { id: "other", type: "button", class: "quiet", lang: language === "zh" ? "en" : "zh-Hans",
      onclick: () => { speak(language === "zh" ? "en" : "zh"); document.getElementById("tabs").setAttribute("aria-label", t("pages")); draw(); } }, t("other_language")),
  ];
}

function first() {
  if (!who().must.includes("change_password")) {
    return el("section", { id: "first", class: "sheet" }, el("p", {}, t("first_factor")), el("a", { class: "button main", href: "/" }, t("to_console")), button(t("sign_out"), leave));
  }
  const least = 10;
  return form({ id: "first", class: "sheet" }, [
    el("h1", {}, t("first_password")), el("p", {}, t("first_password_more")),
    el("input", { type: "hidden", autocomplete: "username", value: who().name }),
    field("password", "password", { type: "password", required: true, autocomplete: "current-password" }),
    el("label", {}, t("new_password", { n: least }), el("input", { name: "new_password", type: "password", required: true, minlength: least, maxlength: 256, autocomplete: "new-password" })),
    el("button", { class: "main" }, t("change")), button(t("sign_out"), leave),
  ], async (values) => {
    const answer = await ask("POST", "/account/password", { body: values });
    if (!answer.ok) return wrong(answer);
    await whoIsIt();
    await arrived();
  });
}

function elsewhere() {
  const role = (name) => who().grants.some((one) => one.role === name);
  return el("section", { id: "elsewhere", class: "sheet" }, el("p", {}, t("other_role")),
    role("guard") ? el("a", { class: "button main", href: "/phone/guard" }, t("to_guard"))
      : role("household") ? el("a", { class: "button main", href: "/phone/" }, t("to_household"))
        : el("a", { class: "button main", href: "/" }, t("to_console")),
    button(t("sign_out"), leave));
}

function signInForm() {
  const kept = queue.list().length;
  return form({ id: "sign-in", class: "sheet" }, [
    el("h1", {}, t("sign_in")),
    kept ? el("p", { class: "warning" }, t("signed_out_kept")) : "",
    field("login", "login", { autocomplete: "username", autocapitalize: "none", required: true }),
    field("password", "password", { type: "password", autocomplete: "current-password", required: true }),
    el("details", {}, el("summary", {}, t("code_if")), field("code_if", "code", { inputmode: "numeric", autocomplete: "one-time-code" })),
    el("button", { class: "main" }, t("sign_in")),
    page.roles.includes("household") ? el("a", { class: "button", href: "/phone/join" }, t("have_code")) : "",
    toTrust(),
  ], async ({ login, password, code }) => {
    const answer = await signIn(login.trim(), password, code.trim());
    if (!answer.ok) return wrong(answer);
    await arrived();
  });
}

/** The way to the certificate that the camera, working offline and push need; nothing where there is HTTPS already. */
export const toTrust = () => (window.isSecureContext ? "" : el("a", { class: "button", href: "/trust" }, t("to_trust")));

/** Somebody has signed in. */
export async function arrived() {
  remember(who().account);
  if (!who().must.length && who().grants.length) listen();
  draw();
  queue.flush();
  await refresh();
}

/** Signs out, and shows who may come in. */
export async function leave() {
  if (queue.list().length && !(await sure(t("not_sent", { n: queue.list().length }), t("sign_out"), t("no")))) return;
  for (const one of beforeLeaving) await one();
  if (!(await signOut())) return;
  remember(null);
  location.assign(location.pathname); // the feed ends with the page
}

/** Asks the station anew; calls that come together are one. */
export async function refresh() {
  if (loading) {
    again = true;
    return loading;
  }
  loading = (async () => {
    do {
      again = false;
      try {
        if (!who()?.grants.length) await whoIsIt(); // nobody, or one who waits for his rights
        begun = true;
        line.reached = true;
        if (who() && mine()) {
          if (!who().must.length && who().grants.length) listen();
          remember(who().account);
          if (!who().must.length) await page.load();
          line.loaded = true;
        }
      } catch (why) {
        if (!(why instanceof Unreachable)) throw why;
        line.reached = false;
      }
    } while (again);
  })();
  try {
    await loading;
  } finally {
    loading = null;
    begun = true;
    draw();
    poll();
  }
}

/** For `load`: the body of a good answer; null where there is nothing to see. Whoever was signed out is asked again. */
export async function read(path) {
  const answer = await get(path);
  if (answer.ok) return answer.body;
  if (answer.status === 401) {
    await whoIsIt();
    return null;
  }
  if (answer.status >= 500) throw new Unreachable(path);
  return null;
}

function poll() {
  clearTimeout(timer);
  if (!who() && line.reached) return;
  const wait = !line.reached || busy() ? BUSY_POLL_MS : page.pause ?? QUIET_POLL_MS;
  timer = setTimeout(() => (document.visibilityState === "visible" ? refresh() : poll()), wait);
}

function listen() {
  if (listen.begun || typeof EventSource !== "function") return;
  listen.begun = true;
  const later = () => { clearTimeout(soon); soon = setTimeout(refresh, TOGETHER_MS); };
  new Feed({
    heard: (topic, body) => { page.heard?.(topic, body); later(); },
    again: later,
    state: (open) => { if (line.open !== open) { line.open = open; if (open) line.reached = true; draw(); } },
  });
}

/** Begins. The page is named by its script. */
export function start(its) {
  page = its;
  busy = its.busy ?? (() => false);
  document.getElementById("tabs").setAttribute("aria-label", t("pages"));
  queue.addEventListener("changed", draw);
  queue.addEventListener("answered", () => refresh());
  queue.addEventListener("signed_out", () => whoIsIt().then(draw, draw));
  addEventListener("hashchange", () => { draw(); scrollTo(0, 0); });
  addEventListener("online", () => refresh());
  addEventListener("offline", () => { line.reached = false; line.open = false; draw(); });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
  setInterval(draw, 20_000); // ages
  draw();
  bringPictures().catch(() => { /* they are asked for one by one */ });
  queue.open();
  refresh();
  navigator.serviceWorker?.register("/phone/worker.js").catch(() => { /* without HTTPS it works all the same, only not offline */ });
}
