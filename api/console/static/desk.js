// The live desk: cards that come and change by themselves, sound until somebody takes them, keys.
import { Alarm, fetchText, fresh, parse, typing } from "./alarm.js";
import { Feed } from "./feed.js";
import { Sounds } from "./sounds.js";

const CHANGED_MS = 150; // what comes together is fetched together
const FIRST_MS = 10; // what comes alone is not kept waiting
const ONE_BY_ONE = 24; // more than that is fetched as a list
const AT_ONCE = 6;
const STORM = 60; // more open alarms than that are shown by group and kind
const BUCKETS = 30; // more groups and kinds than that are no help either
const AGAIN_MS = 4000; // how often it sounds until it is taken
const LOST_MS = 3000;
const LOST_AGAIN_MS = 12_000;
const MUTE_S = 60;
const BEAT_MS = 15_000;
const KINDS = ["duress", "fire", "panic", "intrusion", "medical", "unverified", "help"];
const FLASH_MS = 1000;

const at = (id) => document.getElementById(id);
const [list, line, count, lost, climbed, detail] = ["alarms", "line", "count", "lost", "climbed", "detail"].map(at);
const title = document.title;
const wide = matchMedia("(min-width: 1200px)");
const chosen = new Alarm(detail);
const sounds = new Sounds();
const up = new Set();
const due = new Set();
let timer = null;
let fetchedAt = 0;
let connected = false;
let lostSince = performance.now();
let mutedUntil = 0;

// ---- order

function order(card) {
  const rank = KINDS.indexOf(card.dataset.kind);
  return [card.dataset.mark ? 1 : 0, card.classList.contains("sent") ? 0 : 1, rank < 0 ? KINDS.length : rank, card.dataset.received];
}

function before(a, b) {
  const [one, other] = [order(a), order(b)];
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return one[i] < other[i];
  return false;
}

const cards = () => [...list.querySelectorAll("article.card")];

function insert(place, item, first) {
  const next = [...place.children].find((other) => before(first, other.matches("details") ? other.querySelector("article.card") ?? first : other));
  place.insertBefore(item, next ?? null);
}

// ---- one card

function mark(card) {
  const id = card.id.slice(6);
  if (!card.classList.contains("sent")) up.delete(id);
  card.classList.toggle("up", up.has(id));
  card.querySelector("h2").dataset.climbed = list.dataset.climbed;
  card.setAttribute("aria-current", String(id === chosen.id));
}

function put(html, id) {
  const old = at(`alarm-${id}`);
  const card = html && parse(html).querySelector("article.card");
  const had = old?.contains(document.activeElement);
  const near = old?.querySelector(".near")?.open;
  const bucket = old?.closest(".bucket");
  old?.remove();
  if (card) {
    if (!old && card.classList.contains("sent")) card.classList.add("fresh");
    list.querySelector(".empty")?.remove();
    mark(card);
    seat(card);
    globalThis.htmx?.process(card);
    if (near) card.querySelector(".near")?.setAttribute("open", "");
    if (had) card.focus({ preventScroll: true }); // it may have moved to where others are handled
  }
  if (bucket) tell(bucket);
  fresh();
}

async function fetchDue() {
  timer = null;
  fetchedAt = performance.now();
  const some = [...due];
  due.clear();
  if (some.length > ONE_BY_ONE) {
    await again();
  } else {
    for (let from = 0; from < some.length; from += AT_ONCE) {
      const part = some.slice(from, from + AT_ONCE);
      const found = await Promise.all(part.map((id) => fetchText(`/desk/alarms/${id}`)));
      part.forEach((id, place) => put(found[place], id));
    }
    storm();
    tally();
  }
}

async function again() {
  const html = await fetchText("/desk/alarms");
  if (!html) return;
  const opened = new Set([...list.querySelectorAll(".bucket[open]")].map((one) => one.dataset.key));
  const held = list.contains(document.activeElement) ? document.activeElement : null;
  list.classList.remove("storm");
  list.replaceChildren(...parse(html).body.children);
  cards().forEach(mark);
  storm();
  for (const bucket of list.querySelectorAll(".bucket")) bucket.open = opened.has(bucket.dataset.key);
  if (held) goOnAt(held);
  globalThis.htmx?.process(list);
  tally();
  fresh();
}

/** Whoever was at a card or at a group of them by the keyboard is there again, although all were made anew. */
function goOnAt(held) {
  const card = at(held.closest("article.card")?.id ?? "");
  const key = held.closest(".bucket")?.dataset.key;
  const bucket = [...list.querySelectorAll(".bucket")].find((one) => one.dataset.key === key);
  card?.closest(".bucket")?.setAttribute("open", "");
  (card ?? bucket?.firstElementChild)?.focus({ preventScroll: true });
}

// ---- storm: by group and kind, each with a count that opens; nothing is hidden

let byGroup = true;

function keyOf(card) {
  return `${byGroup ? card.dataset.group : ""} ${card.dataset.kind} ${card.dataset.mark}`;
}

function seat(card) {
  if (!list.classList.contains("storm")) return insert(list, card, card);
  const key = keyOf(card);
  let bucket = [...list.children].find((one) => one.dataset.key === key);
  if (!bucket) {
    bucket = document.createElement("details");
    bucket.className = "bucket";
    bucket.dataset.key = key;
    const [summary, inner, name, number] = ["summary", "div", "b", "span"].map((tag) => document.createElement(tag));
    const group = document.querySelector(`#groups [data-group="${CSS.escape(card.dataset.group)}"]`)?.textContent;
    name.textContent = card.querySelector("h2").textContent + (byGroup ? ` · ${group || card.dataset.group || list.dataset.elsewhere}` : "");
    inner.className = "cards";
    summary.append(card.querySelector(".kind").cloneNode(true), name, number);
    bucket.append(summary, inner);
  }
  insert(bucket.lastChild, card, card);
  tell(bucket);
  insert(list, bucket, bucket.querySelector("article.card"));
}

function tell(bucket) {
  const all = bucket.querySelectorAll("article.card").length;
  if (!all) return bucket.remove();
  const waiting = bucket.querySelectorAll("article.sent").length;
  bucket.querySelector("summary span").textContent = list.dataset.bucket.replace("{n}", all).replace("{w}", waiting);
  bucket.classList.toggle("sent", waiting > 0);
  bucket.classList.toggle("seen", waiting === 0);
}

function storm() {
  const all = cards();
  const is = all.length > STORM;
  if (is === list.classList.contains("storm")) return;
  const open = document.activeElement?.closest("article.card");
  list.classList.toggle("storm", is);
  list.replaceChildren();
  byGroup = true;
  byGroup = new Set(all.map(keyOf)).size <= BUCKETS; // all over the village: by kind alone
  if (is) all.forEach(seat);
  else list.append(...all.sort((a, b) => (before(a, b) ? -1 : 1)));
  if (open) {
    open.closest(".bucket")?.setAttribute("open", "");
    open.focus();
  }
}

// ---- numbers and the title, which flashes while something waits

function tally() {
  count.textContent = cards().length;
}

setInterval(() => {
  const waiting = list.querySelectorAll("article.sent").length;
  const flash = waiting && Math.floor(performance.now() / FLASH_MS) % 2;
  const wanted = waiting ? `(${waiting}) ${flash ? list.dataset.waiting.replace("{n}", waiting) : title}` : title;
  if (document.title !== wanted) document.title = wanted;
}, FLASH_MS);

// ---- the feed

new Feed({
  heard(topic, body) {
    if (topic !== "alarm") return;
    const [, id] = body.about.split(":");
    due.add(id);
    timer ??= setTimeout(fetchDue, performance.now() - fetchedAt > CHANGED_MS ? FIRST_MS : CHANGED_MS);
    if (id === chosen.id) chosen.heard();
    if (body.action === "escalate" && body.level > 0) rises(id); // level 0 tells the desk itself
  },
  again() {
    again();
    if (chosen.id) chosen.heard();
  },
  state(open) {
    if (open !== connected) lostSince = performance.now();
    connected = open;
    line.classList.toggle("open", open);
    line.classList.toggle("lost", !open);
    line.textContent = open ? line.dataset.open : line.dataset.lost;
    if (open) {
      lost.hidden = true;
      lost.textContent = "";
      beat();
    }
  },
});

function rises(id) {
  up.add(id);
  const card = at(`alarm-${id}`);
  if (card) mark(card);
  const link = document.createElement("a");
  link.href = `/alarms/${id}`;
  link.textContent = card ? `${card.querySelector("h2").textContent} ${card.querySelector(".place").textContent.trim()}` : climbed.dataset.alarm;
  climbed.replaceChildren(climbed.dataset.words, " ", link);
  climbed.hidden = false;
  if (!muted()) sounds.play("climbed");
}

// ---- sound: it needs one click of somebody, and goes on until the alarm is taken

const begin = at("begin");
const mute = at("mute");
const muteNote = at("muted");
begin.hidden = false;
begin.addEventListener("click", async () => {
  await sounds.begin();
  begin.hidden = true;
  mute.hidden = false;
  sounds.play("ready");
  awake();
  beat();
});

function awake() {
  if (sounds.on) navigator.wakeLock?.request("screen").catch(() => {});
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  sounds.wake();
  awake();
});

function muted() {
  return performance.now() < mutedUntil;
}

mute.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  mutedUntil = performance.now() + MUTE_S * 1000;
  muteNote.dataset.why = new FormData(event.target).get("why");
  event.target.reset();
  mute.open = false;
  showMute();
});
muteNote.querySelector("button").addEventListener("click", () => {
  mutedUntil = 0;
  showMute();
});

function showMute() {
  const left = Math.ceil((mutedUntil - performance.now()) / 1000);
  muteNote.hidden = left <= 0;
  mute.hidden = left > 0 || !sounds.on;
  if (left > 0) muteNote.querySelector("span").textContent = muteNote.dataset.words.replace("{n}", left).replace("{why}", muteNote.dataset.why);
}

setInterval(() => muteNote.hidden || showMute(), 1000);
setInterval(() => {
  const first = list.querySelector("article.sent");
  if (first && !muted()) sounds.play(first.dataset.mark ? "drill" : first.dataset.kind);
  if (document.querySelector("article.up") === null) climbed.hidden = true;
}, AGAIN_MS);

let lostSaid = -Infinity;
setInterval(() => {
  const now = performance.now();
  if (connected || now - lostSince < LOST_MS) return;
  if (lost.hidden) lost.textContent = lost.dataset.words;
  lost.hidden = false;
  if (now - lostSaid > LOST_AGAIN_MS) {
    lostSaid = now;
    sounds.play("lost"); // also while it is muted: nothing else would be heard at all
  }
}, 1000);

// ---- somebody sits here: said while this desk is heard, seen and connected

let beaten = -Infinity;

function deskName() {
  const paired = begin.dataset.desk;
  if (paired) return paired.toLowerCase().replace(/[^a-z0-9-]/g, "").slice(0, 32);
  const kept = localStorage.getItem("desk") ?? `desk-${Math.random().toString(36).slice(2, 10)}`;
  localStorage.setItem("desk", kept);
  return kept;
}

async function beat() {
  const now = performance.now();
  const csrf = document.body.dataset.csrf;
  if (!("desk" in begin.dataset) || !csrf || !sounds.on || now - beaten < BEAT_MS) return;
  beaten = now;
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  await fetch("/api/v1/duty/desk", { method: "POST", headers, body: JSON.stringify({ desk: deskName() }) }).catch(() => {});
}

setInterval(() => connected && beat(), BEAT_MS);

// ---- choosing, opening, doing

async function choose(card) {
  const id = card.id.slice(6);
  if (!wide.matches) return location.assign(`/alarms/${id}`);
  await chosen.open(id);
  for (const other of list.querySelectorAll('[aria-current="true"]')) other.setAttribute("aria-current", "false");
  at(`alarm-${id}`)?.setAttribute("aria-current", "true");
}

list.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || !wide.matches) return;
  const card = event.target.closest("article.card");
  if (!card || event.target.closest("button, form, summary, .near a")) return;
  event.preventDefault();
  choose(card);
});

list.addEventListener(
  "toggle",
  async (event) => {
    const place = event.target.open && event.target.querySelector(":scope > [data-more]");
    if (!place) return;
    const html = await fetchText(place.dataset.more);
    if (html) place.replaceChildren(...parse(html).body.children);
  },
  true,
);

document.addEventListener("keydown", async (event) => {
  if (typing(event)) return;
  const key = event.key.toLowerCase();
  const focused = document.activeElement?.closest("article.card");
  if (key === "j" || key === "k") {
    event.preventDefault();
    const all = cards();
    const place = all.indexOf(focused);
    const next = all.at(key === "j" ? Math.min(place + 1, all.length - 1) : Math.max(place - 1, 0));
    next?.closest(".bucket")?.setAttribute("open", "");
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  } else if (key === "m" && !mute.hidden) {
    event.preventDefault();
    mute.open = true;
    mute.querySelector("input").focus();
  } else if (key === "a" && focused) {
    focused.querySelector("form button")?.click();
  } else if (key === "enter" && focused && document.activeElement === focused) {
    choose(focused);
  } else if ("cdorn".includes(key) && key.length === 1) {
    if (focused && focused.id !== `alarm-${chosen.id}`) {
      if (!wide.matches) return;
      event.preventDefault();
      await choose(focused);
    }
    if (chosen.key(key)) event.preventDefault();
  }
});

storm();
cards().forEach(mark);
tally();
