// The live desk: cards that come and change by themselves, sound after one click, keys.
import { Feed } from "./feed.js";
import { say } from "./page.js";

const list = document.getElementById("alarms");
const line = document.getElementById("line");
const count = document.getElementById("count");
const title = document.title;
const CHANGED_MS = 150; // what comes together is fetched together

const due = new Set();
let timer = null;

async function fetchText(address) {
  const answer = await fetch(address, { headers: { "HX-Request": "true" } });
  if (answer.redirected) location.assign("/login?to=/desk");
  return answer.status === 204 || !answer.ok ? "" : answer.text();
}

function order(card) {
  const kinds = ["duress", "fire", "panic", "intrusion", "medical", "unverified", "help"];
  const rank = kinds.indexOf(card.dataset.kind);
  return [card.dataset.mark ? 1 : 0, card.classList.contains("sent") ? 0 : 1, rank < 0 ? kinds.length : rank, card.dataset.received];
}

function before(a, b) {
  const [one, other] = [order(a), order(b)];
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return one[i] < other[i];
  return false;
}

function put(html, id) {
  const old = document.getElementById(`alarm-${id}`);
  const card = html && new DOMParser().parseFromString(html, "text/html").querySelector("article");
  if (!card) {
    old?.remove();
  } else {
    const had = old?.contains(document.activeElement);
    if (!old && card.classList.contains("sent")) card.classList.add("fresh");
    old?.remove();
    list.querySelector(".empty")?.remove();
    const next = [...list.children].find((other) => before(card, other));
    list.insertBefore(card, next ?? null);
    globalThis.htmx?.process(card);
    if (had) card.focus();
  }
  tally();
}

function tally() {
  const waiting = list.querySelectorAll("article.sent").length;
  count.textContent = list.querySelectorAll("article").length;
  document.title = waiting ? `(${waiting}) ${title}` : title;
}

async function fetchDue() {
  timer = null;
  const some = [...due];
  due.clear();
  if (some.length > 8) return again();
  for (const id of some) put(await fetchText(`/desk/alarms/${id}`), id);
}

async function again() {
  const html = await fetchText("/desk/alarms");
  if (html) {
    list.innerHTML = html;
    globalThis.htmx?.process(list);
    tally();
  }
}

new Feed({
  heard(topic, body) {
    if (topic !== "alarm") return;
    const [, id] = body.about.split(":");
    due.add(id);
    timer ??= setTimeout(fetchDue, CHANGED_MS);
    if (body.action === "receive") ring();
  },
  again,
  state(open) {
    line.classList.toggle("open", open);
    line.classList.toggle("lost", !open);
    line.textContent = open ? line.dataset.open : line.dataset.lost;
  },
});

// Sound needs one click of somebody: until then the button asks for it.
const begin = document.getElementById("begin");
let sound = null;
begin.hidden = false;
begin.addEventListener("click", async () => {
  sound = new AudioContext();
  await sound.resume();
  begin.hidden = true;
  navigator.wakeLock?.request("screen").catch(() => {});
  tone(880, 0.15);
});

function tone(hertz, seconds, at = 0) {
  if (!sound) return;
  const [from, gain] = [sound.currentTime + at, sound.createGain()];
  const oscillator = sound.createOscillator();
  oscillator.frequency.value = hertz;
  gain.gain.setValueAtTime(0.25, from);
  gain.gain.exponentialRampToValueAtTime(0.001, from + seconds);
  oscillator.connect(gain).connect(sound.destination);
  oscillator.start(from);
  oscillator.stop(from + seconds);
}

function ring() {
  for (let i = 0; i < 3; i++) tone(i % 2 ? 660 : 880, 0.35, i * 0.4);
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const cards = [...list.querySelectorAll("article")];
  const at = cards.indexOf(document.activeElement?.closest("article"));
  const key = event.key.toLowerCase();
  if (key === "j" || key === "k") {
    cards.at(key === "j" ? Math.min(at + 1, cards.length - 1) : Math.max(at - 1, 0))?.focus();
    event.preventDefault();
  } else if (key === "a" && at >= 0) {
    cards[at].querySelector("form button")?.click();
  } else if (key === "enter" && at >= 0 && document.activeElement === cards[at]) {
    cards[at].querySelector("h2 a").click();
  }
});

tally();
