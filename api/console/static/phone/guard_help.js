// A call for help of whoever carries this phone: kept first, sent until the station answers, with where he was last.
import { wrong } from "./api.js";
import { ago, learn, moment, said, t } from "./language.js";
import { WORDS } from "./help_words.js";
import { button, draw, el, icon, line, queue, read, sure } from "./shell.js";

learn(WORDS);

const LATE_MS = 600_000; // what could not be sent for so long is asked about before anybody runs
const FIX_MS = 120_000;
const LONG_MS = 10_000;

let calls = [];
let fix = null;

/** Asks what became of his calls, and who nearby calls. */
export async function loadHelp() {
  calls = (await read("/help-calls?open=true&limit=20"))?.items ?? [];
}

/** Of others nearby: to be rung for. */
export const helpNear = () => calls.filter((one) => !one.own);

const own = () => calls.filter((one) => one.own);
const pressed = () => queue.list("help");

/** Looks where the phone is, while somebody may need it; only with HTTPS. */
function seek() {
  if (!isSecureContext || !navigator.geolocation) return;
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    fix = { at: Date.now(), position: { lat: coords.latitude, lon: coords.longitude, accuracy_m: Math.min(100_000, Math.ceil(coords.accuracy)) } };
  }, () => {}, { enableHighAccuracy: true, maximumAge: 30_000, timeout: 20_000 });
}

/** `last`: his newest check-in on this phone, `{ point, at }`, or null. */
function call(kind, last) {
  const position = fix && Date.now() - fix.at < FIX_MS ? fix.position : null;
  const now = new Date();
  for (const one of queue.list("help_cancel")) queue.drop(one.id); // he needs help after all
  for (const one of pressed()) if (one.more.cancel) queue.note(one.id, { cancel: false });
  queue.add({
    path: "/help-calls", about: "help", urgent: true, until: now.getTime() + LATE_MS, more: { kind },
    body: { kind, now: now.toISOString(), words: `手机 ${now.toTimeString().slice(0, 8)} 按下`, ...(last ? { last } : {}), ...(position ? { position } : {}) },
  });
  navigator.vibrate?.(300);
  for (const wait of [1_000, LONG_MS + 100]) setTimeout(draw, wait);
  scrollTo(0, 0);
}

/** The station has it. */
export function helpAnswered(item, answer) {
  if (item.about !== "help" && item.about !== "help_cancel") return;
  calls = [answer.body, ...calls.filter((one) => one.alarm !== answer.body.alarm)];
  if (item.about === "help" && item.more.cancel) cancelOne(answer.body);
}

function rung(word, reached) {
  return el("li", { class: reached ? "reached" : "" }, el("span", { class: "tick", "aria-hidden": "true" }, reached ? "✓" : ""), el("b", {}, t(word)));
}

const REACHED = { received: 0, cancelled_by_household: 0, acknowledged: 1, on_the_way: 2 };

function where(seen) {
  return seen ? t("help_seen", { point: seen.name, at: moment(seen.at) }) : t("help_nowhere");
}

function waiting(item) {
  const again = () => {
    queue.note(item.id, { cancel: false }); // he needs help after all
    queue.again(item.id, LATE_MS);
  };
  if (item.state === "late") return [el("p", { class: "large" }, t("help_late", { at: moment(new Date(item.made).toISOString()) })), button(t("help_late_yes"), again, { type: "danger" }), button(t("drop"), () => queue.drop(item.id))];
  if (item.state === "refused") return [el("p", { class: "large" }, t("help_refused")), el("p", {}, wrong(item.answer)), button(t("close"), () => queue.drop(item.id))];
  if (item.state === "signed_out") return [el("p", { class: "large" }, t("help_signed_out"))];
  if (navigator.onLine === false || Date.now() - item.made > LONG_MS) return [el("p", { class: "large" }, t("help_offline"))];
  return [];
}

const taking = () => queue.list("help_cancel").filter((one) => one.state !== "refused");

/** `called` says which press he knows of: one that comes later stands, in whatever order the two arrive. */
function cancelOne({ alarm, called }) {
  if (!taking().some((one) => one.more.alarm === alarm)) queue.add({ path: `/help-calls/${alarm}/cancel`, body: { called }, about: "help_cancel", urgent: true, more: { alarm } });
}

async function cancel() {
  if (!(await sure(t("help_cancel_sure"), t("help_cancel_yes"), t("no")))) return;
  for (const item of pressed()) item.tries ? queue.note(item.id, { cancel: true }) : queue.drop(item.id);
  for (const one of own()) if (!one.cancelled) cancelOne(one);
  draw();
}

function takeBack(sending, mine) {
  const refused = queue.list("help_cancel").filter((one) => one.state === "refused");
  if (refused.length) return [el("p", { class: "problem" }, wrong(refused[0].answer)), button(t("close"), () => refused.forEach((one) => queue.drop(one.id)))];
  if (taking().length || sending.some((one) => one.more.cancel)) return el("p", { id: "help-cancelling" }, t("help_cancelling"));
  if (!sending.length && mine.every((one) => one.cancelled)) return el("p", { id: "help-cancelled", class: "large" }, t("help_cancelled", { at: moment(mine[0].cancelled) }));
  return button(t("help_cancel"), cancel, { id: "help-cancel", type: "key" });
}

/** What became of it, before everything else on the page; null: nothing goes on. */
export function helpNow() {
  const [sending, mine] = [pressed(), own()];
  if (!sending.length && !mine.length) return null;
  const [newest] = mine;
  const far = newest ? REACHED[newest.state] ?? -1 : -1;
  const trouble = sending.flatMap(waiting);
  return el("section", { id: "help-now", class: "sheet urgent", "aria-live": "polite" },
    el("div", { class: "title" }, icon(`kinds.svg#${newest?.kind ?? sending[0].more.kind}`, "kind"), el("h1", {}, t("help_mine"))),
    trouble.length ? el("div", { class: "alert", role: "alert" }, trouble, el("a", { class: "button danger", href: "tel:110" }, t("help_110"))) : "",
    el("ol", { class: "ladder" }, rung(newest ? "help_sent" : "help_sending", Boolean(newest)), rung("help_received", far >= 0), rung("help_taken", far >= 1), rung("help_coming", far >= 2)),
    newest ? [el("p", {}, where(newest.seen)), el("p", {}, t("help_told", { n: newest.told ?? 0 }))] : "", takeBack(sending, mine));
}

/** Who nearby calls for help. */
export const nearCards = () => helpNear().map((one) => el("section", { id: `help-${one.alarm}`, class: "sheet urgent" },
  el("p", { class: "urgent-word" }, t("help_near")), el("h2", {}, [one.name, one.service_number].filter(Boolean).join(" ") || t("help_colleague")),
  one.cancelled ? el("p", { class: "warning" }, t("help_taken_back", { at: moment(one.cancelled) })) : "",
  el("p", { class: "large" }, where(one.seen)), el("p", { class: "aside" }, `${said(one.words)} · ${ago(one.called)}`), el("p", { class: "warning" }, t("help_near_do"))));

/** The key itself. `last`: as for `call`, with the name of the checkpoint. */
export function helpKey(last) {
  return el("section", { id: "help-key", class: "sheet" },
    button([icon("phone/tabs.svg#alarm"), t(own().length || pressed().length ? "help_again" : "help_press")], async () => {
      seek();
      if (await sure(t("help_sure"), t("help_yes"), t("no"))) call("panic", last?.point ? { point: last.point, at: last.at } : null);
    }, { id: "help-press", type: "danger big key" }),
    el("p", { class: "aside" }, last ? t("help_as", { point: last.name, at: moment(last.at) }) : t("help_as_nowhere")),
    button(t("help_light"), async () => {
      if (await sure(t("help_light_sure"), t("help_light_yes"), t("no"))) call("help", last?.point ? { point: last.point, at: last.at } : null);
    }, { id: "help-light", type: "key" }),
    line.reached ? "" : el("p", { class: "warning" }, t("help_no_network")));
}
