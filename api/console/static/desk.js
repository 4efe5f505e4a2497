// The live desk: cards that come and change by themselves, sound until somebody takes them, keys.
import { Alarm, fresh, parse, typing } from "./alarm.js";
import { Feed } from "./feed.js";
import { Sounds } from "./sounds.js";

const CHANGED_MS = 150; // what comes together is fetched together
const FIRST_MS = 10; // what comes alone is not kept waiting
const MANY = 100; // as many are fetched in one request
const RETRY_MS = 2000;
const ASKED_MS = 300;
const FRAME_MS = 8; // no longer at a time: whoever scrolls or types comes between
const SLICE = 12; // of a group: rows of one, two, three or four cards, drawn when they come near
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
const made = new WeakMap();
const told = new Set();
let walk = null;
let running = false;
let fetchedAt = -Infinity;
let connected = false;
let lostSince = performance.now();
let mutedUntil = 0;

// ---- order

/** A text by which cards are in order: drills last, nobody's first, the gravest kind, the oldest. */
function order(card) {
  const { mark, kind, received } = card.dataset;
  const rank = KINDS.indexOf(kind);
  return `${mark ? 1 : 0}${card.classList.contains("sent") ? 0 : 1}${rank < 0 ? KINDS.length : rank}${received}`;
}

const cards = () => [...list.querySelectorAll("article.card")];

function insert(place, item, first) {
  const key = order(first);
  const others = [...place.children].filter((other) => other !== item);
  const next = others.find((other) => key < order(other.matches(".card") ? other : (other.querySelector("article.card") ?? first))) ?? null;
  if (!item.isConnected || item.nextElementSibling !== next) place.insertBefore(item, next);
}

// ---- one card

function mark(card) {
  const id = card.id.slice(6);
  if (!card.classList.contains("sent")) up.delete(id);
  card.classList.toggle("up", up.has(id));
  card.querySelector("h2").dataset.climbed = list.dataset.climbed;
  card.setAttribute("aria-current", String(id === chosen.id));
  card.querySelector(".near")?.setAttribute("aria-expanded", String(card.querySelector(".shown") !== null));
}

/** Its source but for the age, which goes on by itself. */
function asMade(card) {
  return card.outerHTML.replace(/(<time[^>]*>)[^<]*/, "$1");
}

/** A card that is new, or is not as it was; one that is as it was stays. */
function put(card) {
  const old = at(card.id);
  const html = asMade(card);
  if (old && made.get(old) === html) return;
  if (old?.querySelector(".htmx-request")) return void setTimeout(look, ASKED_MS, card.id.slice(6)); // its own answer comes into it
  made.set(card, html);
  const said = card.dataset.state === "acknowledged" && !card.querySelector(".problem") && old?.querySelector(".problem");
  if (said) card.append(said); // who was first, for whoever was second
  const had = old?.contains(document.activeElement);
  const shown = old?.querySelector(".near[aria-expanded=true]");
  const stays = made.has(old) && order(old) === order(card) && keyOf(old) === keyOf(card);
  if (!old && card.classList.contains("sent")) card.classList.add("fresh");
  list.querySelector(".empty")?.remove();
  mark(card);
  if (stays) { // what an answer put in the place of another is not where it belongs yet
    told.add(old.closest(".bucket"));
    old.replaceWith(card);
  } else {
    if (old) takeOut(old);
    seat(card);
  }
  globalThis.htmx?.process(card);
  if (shown) near(card.querySelector(".near"));
  if (had) card.focus({ preventScroll: true }); // it may have moved to where others are handled
}

function look(id) {
  due.add(id);
  soon();
}

// ---- fetching: one after the other, so that no answer overtakes a later one

function soon() {
  if (!running) run();
}

async function run() {
  running = true;
  await pause(FIRST_MS);
  while (due.size || walk) {
    const wait = fetchedAt + CHANGED_MS - performance.now();
    if (due.size && wait <= 0) await fetchDue();
    else if (walk) await fetchWalk();
    else await pause(wait);
  }
  running = false;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function fetched(address) {
  try {
    const answer = await fetch(address, { headers: { "HX-Request": "true" }, cache: "no-store" });
    if (answer.redirected) location.assign(`/login?to=${encodeURIComponent(location.pathname)}`);
    return answer.ok && !answer.redirected ? parse(await answer.text()) : null;
  } catch {
    return null;
  }
}

async function putAll(page) {
  let began = performance.now();
  for (const card of page.querySelectorAll("article.card")) {
    put(document.adoptNode(card));
    if (performance.now() - began < FRAME_MS) continue;
    settle();
    await pause(0);
    began = performance.now();
  }
}

async function fetchDue() {
  fetchedAt = performance.now();
  const some = [...due].slice(0, MANY);
  for (const id of some) due.delete(id);
  const page = await fetched(`/desk/alarms?${some.map((id) => `id=${id}`).join("&")}`);
  if (page) {
    const open = new Set([...page.querySelectorAll("article.card")].map((card) => card.id.slice(6)));
    for (const id of some) if (!open.has(id)) remove(id);
    await putAll(page);
    settle();
  } else {
    for (const id of some) due.add(id); // what the station did not say is neither changed nor gone
    await pause(RETRY_MS);
  }
}

/** Everything that is open, piece by piece; what was there and is in none of them is gone. */
function again() {
  walk = { next: "/desk/alarms", gone: new Set(cards().map((card) => card.id.slice(6))) };
  soon();
}

async function fetchWalk() {
  const now = walk;
  const page = await fetched(now.next);
  if (!page) return pause(RETRY_MS);
  for (const card of page.querySelectorAll("article.card")) now.gone.delete(card.id.slice(6));
  await putAll(page);
  now.next = page.querySelector("[data-next]")?.dataset.next;
  if (!now.next) {
    for (const id of now.gone) remove(id);
    list.querySelector(".further")?.remove();
    if (walk === now) walk = null; // else it was asked for again meanwhile
  }
  settle();
}

function remove(id) {
  const old = at(`alarm-${id}`);
  if (old) takeOut(old);
}

/** After some cards were put: what is said of them all. */
function settle() {
  storm();
  keeping(() => told.forEach((bucket) => bucket?.isConnected && tell(bucket)));
  told.clear();
  tally();
  fresh();
}

// ---- storm: by group and kind, each with a count that opens; nothing is hidden

let byGroup = true;

function keyOf(card) {
  return `${byGroup ? card.dataset.group : ""} ${card.dataset.kind} ${card.dataset.mark}`;
}

const bucketOf = (key) => [...list.children].find((one) => one.dataset.key === key);

function newBucket(card) {
  const bucket = document.createElement("details");
  bucket.className = "bucket";
  bucket.dataset.key = keyOf(card);
  const [summary, inner, name, number] = ["summary", "div", "b", "span"].map((tag) => document.createElement(tag));
  const group = document.querySelector(`#groups [data-group="${CSS.escape(card.dataset.group)}"]`)?.textContent;
  name.textContent = card.querySelector("h2").textContent + (byGroup ? ` · ${group || card.dataset.group || list.dataset.elsewhere}` : "");
  summary.append(card.querySelector(".kind").cloneNode(true), name, number);
  bucket.append(summary, inner);
  return bucket;
}

function newSlice(bucket) {
  const slice = document.createElement("div");
  slice.className = "cards slice";
  bucket.lastChild.append(slice);
  return slice;
}

/** What moves does not take the keyboard's place with it. */
function keeping(move) {
  const held = document.activeElement;
  move();
  if (held !== document.activeElement && held?.isConnected) held.focus({ preventScroll: true });
}

function seat(card) {
  if (!list.classList.contains("storm")) return insert(list, card, card);
  let bucket = bucketOf(keyOf(card));
  if (!bucket) list.append((bucket = newBucket(card)));
  const slices = [...bucket.lastChild.children];
  const key = order(card);
  let slice = slices.findLast((one) => order(one.firstElementChild) < key) ?? slices[0] ?? newSlice(bucket);
  insert(slice, card, card);
  keeping(() => {
    for (; slice.children.length > SLICE; slice = slice.nextElementSibling) (slice.nextElementSibling ?? newSlice(bucket)).prepend(slice.lastElementChild);
  });
  told.add(bucket);
}

function takeOut(card) {
  const bucket = card.closest(".bucket");
  let slice = card.closest(".slice");
  card.remove();
  if (!bucket) return;
  keeping(() => {
    for (let next; (next = slice.nextElementSibling); slice = next) slice.append(next.firstElementChild);
  });
  if (!slice.children.length) slice.remove();
  told.add(bucket);
}

function tell(bucket) {
  const all = bucket.querySelectorAll("article.card").length;
  if (!all) return bucket.remove();
  insert(list, bucket, bucket.querySelector("article.card"));
  const waiting = bucket.querySelectorAll("article.sent").length;
  bucket.querySelector("summary span").textContent = list.dataset.bucket.replace("{n}", all).replace("{w}", waiting);
  bucket.classList.toggle("sent", waiting > 0);
  bucket.classList.toggle("seen", waiting === 0);
}

/** Into groups, or out of them, when there are so many, or so few again. */
function storm() {
  const all = cards();
  const is = all.length > STORM;
  const now = [...list.querySelectorAll(".bucket")];
  if (is === list.classList.contains("storm") && !(byGroup && now.length > BUCKETS)) return;
  const open = new Set(now.filter((one) => one.open).map((one) => one.dataset.key));
  byGroup = true;
  byGroup = new Set(all.map(keyOf)).size <= BUCKETS; // all over the village: by kind alone
  const keyed = all.map((card) => [order(card), card]).sort(([a], [b]) => (a < b ? -1 : 1));
  const further = list.querySelector(".further");
  const buckets = new Map();
  keeping(() => {
    const opened = document.activeElement?.closest("article.card");
    list.classList.toggle("storm", is);
    if (is) {
      for (const [, card] of keyed) {
        const key = keyOf(card);
        if (!buckets.has(key)) buckets.set(key, newBucket(card));
        const slices = buckets.get(key).lastChild;
        const last = slices.lastElementChild;
        (last && last.children.length < SLICE ? last : newSlice(buckets.get(key))).append(card);
      }
      for (const [key, bucket] of buckets) bucket.open = open.has(key);
      list.replaceChildren(...buckets.values());
      buckets.forEach((bucket) => tell(bucket));
    } else list.replaceChildren(...keyed.map(([, card]) => card));
    if (further) list.append(further);
    opened?.closest(".bucket")?.setAttribute("open", "");
  });
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
    look(id);
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
  if (!card || event.target.closest("button, form, summary, .near, .shown")) return;
  event.preventDefault();
  choose(card);
});

/** Neighbours and guards of one alarm: each look is written down, so it is had when somebody asks for it. */
async function near(link) {
  link.setAttribute("aria-expanded", "true");
  const page = await fetched(link.dataset.more);
  const shown = page?.body.firstElementChild;
  if (!shown) return link.setAttribute("aria-expanded", "false");
  if (link.getAttribute("aria-expanded") === "true" && link.nextElementSibling?.matches(".shown") !== true) {
    link.after(document.adoptNode(shown));
    globalThis.htmx?.process(shown);
  }
}

list.addEventListener("click", (event) => {
  const link = event.target.closest(".near");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  if (link.getAttribute("aria-expanded") !== "true") return near(link);
  link.setAttribute("aria-expanded", "false");
  link.parentElement.querySelector(".shown")?.remove();
});

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

for (const card of cards()) {
  made.set(card, asMade(card));
  mark(card);
}
storm();
tally();
