// What a guard's phone knows: his rounds as the station gave them last, what waits in the phone, how far its clock is off.
import { who } from "./api.js";
import { moment } from "./language.js";
import { draw as drawn, remembered } from "./queue.js";
import { queue, read } from "./shell.js";
import { codeIn, pointOf } from "./scan.js";

const KEPT = "shouwang-guard";
const ROUNDS_MS = 25_000;

export const state = {
  own: null, ownAt: 0, asked: false, orders: [], alarms: new Map(), calls: [], skew: null,
  done: [], // what was checked in since the page was opened: { key, written, how, at, point, words, sent }
};

export const account = () => who()?.account ?? remembered();

/** What was kept when there was a network: rounds and nothing of any alarm. */
export function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    if (!kept || kept.account !== account()) return localStorage.removeItem(KEPT);
    Object.assign(state, { own: kept.own, ownAt: kept.at, skew: kept.skew });
  } catch { /* nothing is kept here */ }
  return undefined;
}

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ account: account(), own: state.own, at: state.ownAt, skew: state.skew }));
  } catch { /* nothing is kept here */ }
}

/** His rounds, asked anew when they are old or something was sent. */
export async function loadOwn(anew = false) {
  if (!anew && state.asked && Date.now() - state.ownAt < ROUNDS_MS) return;
  state.own = await read("/patrol-rounds/own");
  state.asked = true;
  state.ownAt = Date.now();
  keep();
}

/** How far this phone's clock is ahead (ms), by the Date of an answer; to half a second and the way of the message. */
export async function compareClocks() {
  const before = Date.now();
  const answer = await fetch("/healthz", { cache: "no-store" }).catch(() => null);
  const told = Date.parse(answer?.headers.get("Date") ?? "");
  if (Number.isFinite(told)) state.skew = Math.round((before + Date.now()) / 2 - told - 500);
  keep();
}

/** The station has compared the clocks itself. */
export function compared(skew) {
  state.skew = skew;
  keep();
}

/** Keeps a check-in and sends it. `how`: nfc_phone, qr or typed. */
export function checkIn(how, text) {
  const code = how === "nfc_phone" ? null : codeIn(text);
  const written = code ?? text.trim();
  const [key, at] = [drawn(), new Date().toISOString()];
  const sort = code ? "qr" : how;
  const point = code ? pointOf(code) : null;
  state.done.unshift({ key, written, how: sort, at, point, words: [], sent: false });
  state.done.length = Math.min(state.done.length, 20);
  queue.add({
    path: "/check-ins", key, about: "check_in", more: { how: sort, point, written, at },
    body: { now: at, items: [{ key, how: sort, written, at }] },
  });
  navigator.vibrate?.(80);
}

/** What a checkpoint is called. */
export function nameOf(id) {
  const points = (state.own?.rounds ?? []).flatMap((one) => one.visits.map((visit) => visit.point));
  return [...points, state.own?.last?.point].find((one) => one?.id === id)?.name ?? id;
}

/** His newest check-in, sent or not: `{ point, name, at }`; null: none. A call for help takes it as the place. */
export function lastHere() {
  const waits = queue.list("check_in").filter((one) => one.more?.point).map((one) => ({ point: one.more.point, at: one.more.at }));
  const sent = state.done.filter((one) => one.point).map((one) => ({ point: one.point, at: one.at }));
  const told = state.own?.last ? [{ point: state.own.last.point.id, at: state.own.last.at }] : [];
  const [newest] = [...waits, ...sent, ...told].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  return newest && Date.now() - Date.parse(newest.at) < 12 * 3_600_000 ? { ...newest, name: nameOf(newest.point) } : null;
}

/** When this point was checked in at on this phone and not sent yet; null: it was not. */
export function waitingAt(visit) {
  const item = queue.list("check_in").find((one) =>
    one.more?.point === visit.point.id && one.more.at >= visit.opens && one.more.at <= visit.closes);
  return item?.more.at ?? null;
}

export const isOpen = (visit) =>
  visit.outcome === "pending" && !visit.seen && !waitingAt(visit) && Date.parse(visit.closes) > Date.now();

/** What is to be done next: `{ round, visits }`, the visits in order; null: nothing is left. */
export function next() {
  const rounds = (state.own?.rounds ?? [])
    .map((round) => ({ round, visits: round.visits.filter(isOpen) }))
    .filter((one) => one.visits.length);
  const free = rounds.find((one) => one.round.order === "free");
  free?.visits.sort((a, b) => Date.parse(a.due) - Date.parse(b.due) || a.nth - b.nth);
  return rounds[0] ?? null;
}

/** From when to when a visit is on time; its band is the same before its time and after it. */
export function onTime(round, visit) {
  if (!visit.planned) return [round.begins, visit.due];
  return [new Date(2 * Date.parse(visit.planned) - Date.parse(visit.due)).toISOString(), visit.due];
}

/** With seconds, as clocks are compared by them. */
export const exact = (text) => `${moment(text)}:${String(new Date(text).getSeconds()).padStart(2, "0")}`;
