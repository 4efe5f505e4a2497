// The household's page: one large button, what became of it, neighbours' alarms, news, one's home, and joining.
import { list, who, whoIsIt, wrong, ask } from "./api.js";
import { ago, language, learn, moment, said, t } from "./language.js";
import { WORDS } from "./household_words.js";
import { pushSheet, renew } from "./push.js";
import { draw as random } from "./queue.js";
import { settle } from "./keys.js";
import { ring, watcher } from "./ringing.js";
import { button, draw, el, field, form, icon, leave, line, queue, read, refresh, say, start, sure, tab } from "./shell.js";

learn(WORDS);

const LATE_MS = 600_000; // an alarm that could not be sent for so long is asked about before it rings
const INCIDENT_MS = 600_000; // presses within this time are one matter, as at the station
const STANDS_MS = 12 * 3_600_000; // after that the large button is first again
const OFFLINE_MS = 10_000;
const HOME_KEPT_MS = 12 * 3_600_000;
const SHOWN_MOST = 10;
const HELD_MS = 2_000;
const HELD_KEPT_MS = 12 * 3_600_000;
const JOINED = "shouwang-joined";
const PASSWORD_LEAST = 10;
const CLOSED = new Set(["resolved", "followed_up", "archived"]);
const ORDER = ["received", "cancelled_by_household", "acknowledged", "on_the_way", "resolved"];

const known = { places: [], alarms: [], details: new Map(), tips: [], drills: [], ready: null, condition: null, history: null, asked: false };
const read_ = new Set(kept("shouwang-read", []));
let where = kept("shouwang-where", { said: "", at: 0 });
if (Date.now() - where.at > HOME_KEPT_MS || where.said === "outside") where = { said: "", at: 0 };
const there = new Set(); // alarms at which somebody from here has arrived
const heardNear = watcher((ids) => ring(near().some((one) => ids.includes(one.id) && !one.quiet) ? [988, 740, 988, 740] : [])); // quiet: nothing sounds near it
let fix = null;
let noFix = false;
let watch = null;
let tried = null; // milliseconds, or false

function kept(name, otherwise) {
  try { return JSON.parse(localStorage.getItem(name)) ?? otherwise; } catch { return otherwise; }
}

function keep(name, value) {
  try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* a private window */ }
}

const homes = () => (who()?.grants ?? []).filter((one) => one.role === "household").map((one) => one.scope);
const home = () => homes().find((one) => one === kept("shouwang-place", "")) ?? homes()[0] ?? null;
const own = (alarm) => alarm.place !== null && homes().includes(alarm.place);
const isOpen = (alarm) => !CLOSED.has(alarm.state);
const near = () => known.alarms.filter((one) => isOpen(one) && !own(one));
const unread = () => known.tips.filter((one) => !read_.has(one.number));
const call110 = (type = "") => el("a", { class: `button ${type}`, href: "tel:110" }, t("phone_110"));

// -- asking

async function load() {
  if (!homes().length) return; // waits for the grid worker
  renew("household");
  if (kept(JOINED, null)) keep(JOINED, null);
  const answer = await list("/alarms?open=true&limit=100", 100);
  if (answer.status === 401) {
    await whoIsIt();
    return;
  }
  if (answer.ok) {
    known.alarms = answer.items;
    heardNear(near().filter((one) => !one.mark).map((one) => one.id));
  }
  const shown = known.alarms.slice(0, SHOWN_MOST);
  const details = await Promise.all(shown.map((one) => read(`/alarms/${one.id}`)));
  known.details = new Map(details.filter(Boolean).map((one) => [one.id, one]));
  const place = home();
  const [places, tips, drills, condition] = await Promise.all([
    known.asked ? null : read("/register/places?limit=50"), read("/tips?limit=50"), read("/drills?limit=20"), read(`/places/${place}/condition`),
  ]);
  if (places) known.places = places.items;
  known.asked = true;
  known.tips = tips?.items ?? [];
  known.drills = drills?.items ?? [];
  known.condition = condition;
  const group = condition?.group;
  known.ready = group ? await read(`/groups/${group}/readiness`) : null;
  if (tab().id === "home" || known.history) {
    const all = await read("/alarms?limit=100");
    known.history = (all?.items ?? []).filter((one) => own(one) && !isOpen(one)).slice(0, 10);
  }
}

// -- the press

function whereabouts() {
  if (where.said === "home") return { whereabouts: "home" };
  if (where.said === "outside" && fix && Date.now() - fix.at < 120_000) return { whereabouts: "position", position: fix.position };
  return { whereabouts: "unknown" };
}

function press(kind) {
  const now = new Date();
  const clock = now.toTimeString().slice(0, 8);
  const outside = where.said === "outside" ? "，本人不在家" : "";
  queue.add({
    path: "/alarms", about: "press", urgent: true, until: now.getTime() + LATE_MS, more: { kind },
    body: { kind, ...(home() ? { place: home() } : {}), ...whereabouts(), words: `手机 ${clock} 按下${outside}` },
  });
  navigator.vibrate?.(300);
  settle();
  for (const wait of [1_000, 3_000, OFFLINE_MS + 100]) setTimeout(draw, wait);
  if (tab().id !== "alarm") location.hash = "#alarm";
  scrollTo(0, 0);
}

queue.addEventListener("answered", ({ detail: { item, answer } }) => {
  if (item.about === "arrive") there.add(item.more.alarm);
  if (item.about !== "press") return;
  known.alarms = [answer.body, ...known.alarms.filter((one) => one.id !== answer.body.id)];
  if (item.more.cancel) cancelOne(answer.body.id);
});

function cancelOne(id) {
  if (!queue.list("cancel").some((one) => one.more.alarm === id)) queue.add({ path: `/alarms/${id}/cancel`, about: "cancel", urgent: true, more: { alarm: id } });
}

async function cancel() {
  if (!(await sure(t("cancel_sure"), t("cancel_yes"), t("cancel_no")))) return;
  for (const item of queue.list("press")) item.tries ? queue.note(item.id, { cancel: true }) : queue.drop(item.id);
  for (const alarm of current()) if (!alarm.cancelled) cancelOne(alarm.id);
}

const mine = () => known.alarms.filter((one) => own(one) && isOpen(one) && !one.mark);

/** What is going on now: the presses of one matter, newest first. What was acknowledged of an older one says nothing of this. */
function current() {
  const pressed = queue.list("press");
  const standing = mine().filter((one) => !one.cancelled);
  const some = (standing.length || pressed.length ? standing : mine()).sort((a, b) => (a.received < b.received ? 1 : -1));
  const newest = Math.max(...pressed.map((one) => one.made), ...some.map((one) => Date.parse(one.received)));
  const shownFor = standing.length || pressed.length ? STANDS_MS : INCIDENT_MS;
  if (Date.now() - newest > shownFor) return [];
  return some.filter((one) => newest - Date.parse(one.received) < INCIDENT_MS);
}

/** Others of this home that nobody has closed yet. */
function older() {
  const now = new Set(current().map((one) => one.id));
  const left = mine().filter((one) => !now.has(one.id));
  return left.length ? el("section", { id: "older", class: "sheet" }, el("h2", {}, t("older")), el("ul", { class: "rows" }, left.map((one) =>
    el("li", {}, el("b", {}, said(one.words)), el("span", { class: "aside" }, moment(one.received)), el("span", {}, one.cancelled ? t("cancelled") : said(one.state_words)))))) : null;
}

function rung(word, reached, more = "") {
  return el("li", { class: reached ? "reached" : "" }, el("span", { class: "tick", "aria-hidden": "true" }, reached ? "✓" : ""),
    el("span", {}, el("b", {}, t(word)), el("small", {}, more || (reached ? "" : t("rung_not_yet")))));
}

function notSent(item) {
  const long = Date.now() - item.made > OFFLINE_MS;
  if (item.state === "late") {
    return el("div", { class: "alert" }, el("p", { class: "large" }, t("late_ask", { at: moment(new Date(item.made).toISOString()) })), el("div", { class: "choices" },
      button(t("late_yes"), () => { queue.again(item.id, LATE_MS); draw(); }, { type: "danger" }), button(t("late_no"), () => queue.drop(item.id)), call110()));
  }
  if (item.state === "signed_out") return el("div", { class: "alert" }, el("p", { class: "large" }, t("signed_out_110")), call110("danger"));
  if (item.state === "refused") {
    return el("div", { class: "alert", role: "alert" }, el("p", { class: "large" }, t("refused_110")), el("p", {}, wrong(item.answer)), call110("danger"), button(t("close"), () => queue.drop(item.id)));
  }
  if (navigator.onLine === false || long) {
    return el("div", { class: "alert", role: "alert" }, el("p", { class: "large" }, t("offline_110")), el("p", {}, t(navigator.onLine === false ? "offline_why" : "unanswered_why")), call110("danger"));
  }
  return null;
}

function ladder(alarms) {
  const furthest = alarms.reduce((most, one) => Math.max(most, ORDER.indexOf(one.state)), -1);
  const details = alarms.map((one) => known.details.get(one.id)?.answers).filter(Boolean);
  const sum = (name) => Math.max(0, ...details.map((one) => one[name]));
  const coming = furthest >= ORDER.indexOf("on_the_way");
  const more = [coming && t("coming_police"), sum("coming") && t("coming_neighbours", { n: sum("coming") }), sum("arrived") && t("there_neighbours", { n: sum("arrived") })].filter(Boolean);
  const first = alarms[alarms.length - 1];
  return el("ol", { class: "ladder" },
    first ? rung("rung_sent", true, moment(first.happened)) : rung("rung_sending", false, " "),
    rung("rung_received", Boolean(first), first ? `${moment(first.received)} ${t("rung_received_more")}` : ""),
    rung("rung_acknowledged", furthest >= ORDER.indexOf("acknowledged"), furthest >= ORDER.indexOf("acknowledged") ? t("rung_acknowledged_more") : ""),
    rung("rung_coming", more.length > 0, more.join(language === "zh" ? "，" : ", ")));
}

function progress() {
  const pressed = queue.list("press");
  const alarms = current();
  if (!pressed.length && !alarms.length) return null;
  const kinds = new Set([...alarms.map((one) => one.kind), ...pressed.map((one) => one.more.kind)]);
  const cancelled = alarms.length > 0 && !pressed.length && alarms.every((one) => one.cancelled);
  const taking = queue.list("cancel").length > 0 || pressed.some((one) => one.more.cancel);
  const ring = alarms.find((one) => one.ring_words && ["gateway_offline", "no_gateway"].includes(one.ring)) ?? alarms.find((one) => one.ring_words);
  const stuck = pressed.map(notSent).find(Boolean);
  const late = pressed.length > 0 && pressed.every((one) => one.state === "late" || one.state === "refused");
  return el("section", { id: "mine", class: "sheet urgent", "aria-live": "polite" },
    el("div", { class: "title" }, icon(`kinds.svg#${[...kinds][0]}`, "kind"), el("h1", {}, t("my_alarm")),
      el("span", {}, [...new Set(alarms.map((one) => said(one.words)))].reverse().join(" · "))),
    stuck, alarms.length && pressed.length && !stuck ? el("p", {}, t("another_sending", { kind: t(`press_${pressed[0].more.kind}`) })) : null,
    late && !alarms.length ? null : ladder(alarms),
    ring && el("p", { class: ["gateway_offline", "no_gateway"].includes(ring.ring) ? "warning" : "" }, said(ring.ring_words)),
    cancelled ? el("p", { class: "large" }, t("cancelled")) : taking ? el("p", {}, t("cancelling")) : null,
    alarms.some((one) => one.stand_back) ? el("p", {}, t("stand_back_own")) : null,
    neighboursSay(alarms),
    cancelled || taking || late ? null : what(kinds),
    cancelled || taking || late ? null : button(t("cancel"), cancel, { id: "cancel", type: "key" }),
    stuck ? null : el("p", {}, el("a", { href: "tel:110" }, t("phone_110_too"))));
}

function what(kinds) {
  const left = ["fire", "medical", "intrusion"].filter((one) => !kinds.has(one));
  const told = ["fire", "medical", "intrusion"].filter((one) => kinds.has(one));
  return el("div", { class: "choices" }, told.length ? el("p", {}, t("said_kind", { kind: told.map((one) => t(one)).join(language === "zh" ? "、" : ", ") })) : "",
    left.length ? el("p", {}, t(told.length ? "what_else" : "what_is_it")) : "", el("div", { class: left.length === 3 ? "choices three" : "choices two" }, left.map((kind) =>
      button([icon(`kinds.svg#${kind}`), t(kind)], async () => (await sure(t(`${kind}_sure`))) && press(kind), { type: "tall key", id: `say-${kind}` }))));
}

function neighboursSay(alarms) {
  const found = alarms.map((one) => known.details.get(one.id)?.answers).filter(Boolean);
  if (!found.length) return null;
  const newest = new Map();
  for (const one of found.flatMap((answers) => answers.list)) if (!newest.has(one.place) || newest.get(one.place).at < one.at) newest.set(one.place, one);
  if (!newest.size) return el("p", { class: "aside" }, t("answers_none", { n: Math.max(...found.map((one) => one.reachable)) }));
  return el("div", {}, el("h2", {}, t("answers")), el("ul", { class: "rows" }, [...newest.values()].map((one) =>
    el("li", {}, el("span", {}, door(one)), el("b", {}, one.arrived ? t("answers_here") : said(one.words))))));
}

const door = (one) => [one.door === null || one.door === undefined ? "" : t("home_door", { n: one.door }), one.label ?? ""].filter(Boolean).join(" ");

function bigButton() {
  const several = homes().length > 1;
  const made = el("button", { type: "button", id: "press", class: "press key", "data-at-once": true, "aria-describedby": "press-hint" }, icon("phone/tabs.svg#alarm", "bell"), el("span", {}, t("press")));
  made.addEventListener("click", () => press("panic"));
  return [
    el("h1", { id: "alarm-head", class: "unseen" }, t("tab_alarm")),
    line.reached ? null : el("section", { id: "offline", class: "alert", role: "alert" }, el("p", { class: "large" }, t("offline_110")), call110("danger")),
    several ? el("label", { id: "for" }, t("press_for"), el("select", { name: "place", onchange: (event) => { keep("shouwang-place", event.target.value); refresh(); } },
      homes().map((one) => el("option", { value: one, selected: one === home() }, door(known.places.find((place) => place.id === one) ?? { label: one }))))) : null,
    el("section", { id: "big" }, made, el("p", { id: "press-hint" }, t("press_hint"))),
    el("section", { id: "where", class: "sheet" }, el("p", {}, t("where")), el("div", { class: "choices two" },
      ["home", "outside"].map((one) => el("button", { type: "button", id: `where-${one}`, "aria-pressed": String(where.said === one), onclick: () => be(one) }, t(one === "home" ? "at_home" : "outside")))),
    el("p", { class: "aside" }, where.said === "outside" ? (fix ? t("place_known", { n: fix.position.accuracy_m }) : t(noFix ? "place_unknown" : "place_seeking")) : where.said ? "" : t("where_unsaid"))),
    el("section", { id: "others", class: "choices" }, button(t("help"), async () => (await sure(t("help_sure"), t("help_yes"))) && press("help"), { id: "help", type: "key" }), call110()),
  ];
}

function be(place) {
  where = { said: where.said === place ? "" : place, at: Date.now() };
  keep("shouwang-where", where);
  if (watch !== null) navigator.geolocation.clearWatch(watch);
  watch = fix = null;
  noFix = !("geolocation" in navigator) || !isSecureContext;
  if (where.said === "outside" && !noFix) {
    watch = navigator.geolocation.watchPosition(({ coords }) => {
      const position = { lat: coords.latitude, lon: coords.longitude, accuracy_m: Math.min(100_000, Math.ceil(coords.accuracy)) };
      fix = { position, at: Date.now() };
      draw();
    }, () => { noFix = true; draw(); }, { enableHighAccuracy: true, maximumAge: 30_000, timeout: 20_000 });
  }
  draw();
}

function alarmTab() {
  if (who() && !homes().length) return [waiting()];
  const now = progress();
  return now ? [now, again(), older(), nearHint()] : [...bigButton(), nearHint(), older()];
}

function again() {
  if (queue.list("press").some((one) => one.state !== "refused" && one.state !== "late")) return null;
  return el("section", { id: "again", class: "choices" }, button([icon("phone/tabs.svg#alarm"), t("press_again")], () => press("panic"), { type: "danger key", id: "press-again", "data-at-once": true }));
}

function nearHint() {
  const open = matters();
  return open.length ? el("a", { id: "near-hint", class: "button warning", href: "#neighbours" }, `${t("near")} (${open.length})`) : null;
}

function waiting() {
  return el("section", { id: "waiting", class: "sheet" }, el("h1", {}, t("waiting")), el("p", {}, t("waiting_more")), call110("danger"), button(t("try_again"), refresh), button(t("sign_out"), leave));
}

// -- neighbours

/** Neighbours' alarms by matter: what one home pressed within INCIDENT_MS is one, with one answer. Newest first. */
function matters() {
  const found = [];
  for (const one of near()) {
    const same = one.door === null && one.label === null ? null : found.find((matter) => matter.some((other) =>
      other.door === one.door && other.label === one.label && other.mark === one.mark && Math.abs(Date.parse(other.received) - Date.parse(one.received)) < INCIDENT_MS));
    if (same) same.push(one);
    else found.push([one]);
  }
  return found;
}

function answerWith(alarms, answer) {
  for (const { id } of alarms) {
    for (const item of queue.list("answer")) if (item.more.alarm === id) queue.drop(item.id);
    queue.add({ path: `/alarms/${id}/answer`, body: { answer }, about: "answer", urgent: true, until: Date.now() + LATE_MS, more: { alarm: id, answer } });
  }
}

function arriveAt(alarms) {
  for (const { id } of alarms) queue.add({ path: `/alarms/${id}/arrive`, about: "arrive", urgent: true, until: Date.now() + LATE_MS, more: { alarm: id } });
}

function counts(answers) {
  const most = (name) => Math.max(0, ...answers.map((one) => one[name]));
  const found = [...["coming", "watching", "cannot"].map((one) => [t(`answer_${one}`), most(one)]), [t("answers_here"), most("arrived")]].filter(([, n]) => n > 0);
  return found.length ? found.map(([word, n]) => el("span", {}, `${word} ${n}`)) : t("answers_nobody");
}

function neighbourCard(alarms) {
  const [newest] = alarms;
  const { id } = alarms[alarms.length - 1]; // the first press: the card stays where it is when another one comes
  const ids = new Set(alarms.map((one) => one.id));
  const details = alarms.map((one) => known.details.get(one.id));
  const answers = details.map((one) => one?.answers).filter(Boolean);
  const waits = queue.list("answer").find((one) => ids.has(one.more.alarm) && one.state !== "refused");
  const chosen = waits?.more.answer ?? answers.find((one) => one.own)?.own ?? null;
  const back = alarms.some((one) => one.stand_back);
  const choices = back ? ["watching", "cannot"] : ["coming", "watching", "cannot"];
  const arriving = queue.list("arrive").some((one) => ids.has(one.more.alarm));
  const furthest = alarms.filter((one) => !one.cancelled).sort((a, b) => ORDER.indexOf(b.state) - ORDER.indexOf(a.state))[0];
  return el("section", { id: `near-${id}`, class: `sheet ${newest.mark ? "" : "urgent"}` },
    el("div", { class: "title" }, icon(`kinds.svg#${newest.kind}`, "kind"), el("h2", {}, [...new Set(alarms.map((one) => said(one.words)))].join(" · ")),
      newest.mark && el("span", { class: "mark" }, t(newest.mark === "drill" ? "is_drill" : "is_test")), el("span", { class: "aside" }, ago(newest.received))),
    alarms.some((one) => one.during_drill) ? el("p", { class: "warning" }, t("real_in_drill")) : null,
    el("p", { class: "place large" }, door(newest)),
    back ? el("div", { class: "alert" }, el("p", { class: "large" }, t("stand_back")), el("p", {}, t("stand_back_more"))) : null,
    el("p", { class: "aside" }, furthest ? said(furthest.state_words) : t("not_verified")),
    (answers.length || !details.some(Boolean)) && newest.mark !== "test" ? [
      el("div", { class: choices.length === 3 ? "choices three" : "choices two" }, choices.map((one) =>
        button(t(`answer_${one}`), () => answerWith(alarms, one), { "aria-pressed": String(chosen === one), type: "tall key", id: `${one}-${id}` }))),
      waits ? el("p", { class: "aside" }, t("answer_sending")) : null,
      alarms.some((one) => there.has(one.id)) ? el("p", {}, t("arrived")) : chosen === "coming" && !back && !arriving
        ? button(t("arrive"), () => arriveAt(alarms), { type: "main key", id: `arrive-${id}` }) : null,
      answers.length ? el("p", { class: "counts aside" }, counts(answers)) : null,
    ] : null);
}

function neighboursTab() {
  if (who() && !homes().length) return [waiting()];
  const open = matters();
  return [
    el("h1", { id: "near" }, t("near")),
    refusedHere(["answer", "arrive"]),
    ...open.map(neighbourCard),
    notHeard(),
    open.length || !line.reached ? null : el("p", { id: "near-none", class: "empty" }, t(line.loaded ? "near_none" : "loading")),
  ];
}

/** What is not shown is not "none" while nobody was asked. */
const notHeard = () => (line.reached ? null : el("p", { id: "unheard", class: "warning" }, t("near_unheard")));

function refusedHere(about) {
  const found = queue.list().filter((one) => about.includes(one.about) && (one.state === "refused" || one.state === "late"));
  return found.length ? el("section", { id: "refused", class: "problem" }, found.map((one) => el("p", {}, one.answer ? wrong(one.answer) : t("refused"))), button(t("close"), () => found.forEach((one) => queue.drop(one.id)))) : null;
}

// -- news

function newsTab() {
  if (who() && !homes().length) return [waiting()];
  return [
    el("h1", { id: "news" }, t("news")),
    ...known.tips.map((tip) => el("section", { id: `tip-${tip.number}`, class: "sheet" },
      el("div", { class: "title" }, el("span", { class: tip.kind === "warning" ? "warning" : "mark" }, said(tip.words)), el("span", { class: "aside" }, moment(tip.begins))),
      el("h2", {}, tip.title), el("p", { class: "pre" }, tip.text),
      read_.has(tip.number) ? el("p", { class: "aside" }, `✓ ${t("was_read")}`) : button(t("mark_read"), () => haveRead(tip), { id: `read-${tip.number}` }))),
    line.reached ? null : el("p", { id: "unheard", class: "warning" }, t("no_network")),
    known.tips.length || !line.reached ? null : el("p", { id: "news-none", class: "empty" }, t(line.loaded ? "news_none" : "loading")),
    el("section", { id: "drills", class: "sheet" }, el("h2", {}, t("drills")),
      known.drills.length ? el("ul", { class: "rows" }, known.drills.map((one) => el("li", {}, el("span", {}, one.purpose, el("br"), t("drill_time", { from: moment(one.begins), to: moment(one.ends) })),
        el("span", { class: "mark" }, said(one.state_words), one.units.some((unit) => known.condition?.units.some((own_) => own_.unit === unit)) ? ` · ${t("my_unit_in")}` : "")))) : line.reached ? el("p", { id: "drills-none", class: "aside" }, t(line.loaded ? "drills_none" : "loading")) : null,
      el("p", { class: "aside" }, t("drill_how"))),
  ];
}

function haveRead(tip) {
  read_.add(tip.number);
  keep("shouwang-read", [...read_].slice(-200));
  queue.add({ path: `/tips/${tip.number}/read`, about: "read" });
}

// -- home

function unitRows() {
  const units = known.condition?.units ?? [];
  if (!units.length) return el("p", { class: "aside" }, t("units_none"));
  return el("ul", { class: "rows" }, units.map((one) => el("li", {}, el("b", {}, one.unit), el("span", { class: one.reached ? "good" : "warning" }, t(one.reached ? "unit_good" : "unit_bad")),
    el("span", { class: "whole" }, t("unit_battery"), el("span", { class: one.battery_low ? "warning" : "" }, t(one.battery_low ? "unit_battery_low" : "unit_battery_good"))),
    one.faults.filter((fault) => fault.code !== "battery").map((fault) => el("span", { class: "whole warning" }, said(fault.words))),
    el("span", { class: "whole aside" }, one.tested ? t("unit_tested", { at: moment(one.tested) }) : t("unit_untested")),
    one.late_with_test ? el("span", { class: "whole" }, t("unit_test_due")) : "")));
}

function awaySheet() {
  const now = known.condition?.absence;
  if (!known.condition) return null;
  if (now) {
    return el("section", { id: "away", class: "sheet" }, el("h2", {}, t("away")), el("p", {}, t("away_now"), now.until ? ` · ${t("away_to", { at: moment(now.until) })}` : ""),
      button(t("away_back"), async () => {
        const answer = await ask("DELETE", `/places/${home()}/absence`);
        say(answer.ok ? t("done") : wrong(answer));
        await refresh();
      }, { type: "main" }));
  }
  return el("section", { id: "away", class: "sheet" }, el("h2", {}, t("away")), el("p", { class: "aside" }, t("away_hint")),
    form({ id: "away-form", class: "choices" }, [field("away_until", "until", { type: "date", min: new Date(Date.now() + 86_400_000).toLocaleDateString("sv") }), el("button", { class: "main" }, t("away_say"))], async ({ until }) => {
      const answer = await ask("PUT", `/places/${home()}/absence`, { body: until ? { until: new Date(`${until}T12:00`).toISOString() } : {} });
      if (!answer.ok) return wrong(answer);
      say(t("done"));
      await refresh();
    }));
}

async function tryPage() {
  const began = performance.now();
  tried = false;
  try {
    const answer = await ask("POST", "/line-tests", { body: testOf(), key: random() });
    if (answer.ok) tried = Math.round(performance.now() - began);
  } finally {
    draw();
  }
}

const testOf = () => (home() ? { place: home() } : {});

// Held for two seconds, the key that tries the line is the silent key of a household that agreed to one with the police.
// It is on every phone, looks and answers the same everywhere, and this page does not know who agreed.
let hold = null;
const letGo = () => clearTimeout(hold);
for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, letGo);

function held() {
  const at = new Date().toISOString();
  queue.add({ path: "/line-tests", body: { held: true, ...testOf(), at, now: at }, about: "line", urgent: true, hidden: true, until: Date.now() + HELD_KEPT_MS });
  tryPage().catch(() => { line.reached = false; draw(); });
}

function testKey() {
  const made = button(t("try_page"), tryPage, { id: "try-now", type: "hold" });
  made.addEventListener("pointerdown", () => { letGo(); hold = setTimeout(held, HELD_MS); });
  made.addEventListener("contextmenu", (event) => event.preventDefault());
  return made;
}

function homeTab() {
  if (who() && !homes().length) return [waiting()];
  if (line.loaded && known.history === null) { known.history = []; refresh(); }
  const place = known.places.find((one) => one.id === home());
  return [
    el("section", { id: "place", class: "sheet" }, el("h1", {}, t("my_home")), place ? el("p", { class: "large" }, [door(place), place.address].filter(Boolean).join(" · ")) : el("p", { class: "aside" }, t(line.reached ? "loading" : "no_network")),
      known.ready ? el("p", {}, el("b", {}, t("ready")), said(known.ready.words)) : ""),
    known.condition ? el("section", { id: "units", class: "sheet" }, el("h2", {}, t("units")), unitRows()) : null,
    awaySheet(),
    el("section", { id: "try", class: "sheet" }, el("h2", {}, t("try_page")), el("p", { class: "aside" }, t("try_hint")), testKey(), tried === null ? "" : el("p", { role: "status" }, tried === false ? t("try_bad") : t("try_good", { n: tried }))),
    el("section", { id: "history", class: "sheet" }, el("h2", {}, t("history")), known.history?.length ? el("ul", { class: "rows" }, known.history.map((one) =>
      el("li", {}, el("span", {}, said(one.words), one.mark ? ` · ${t(one.mark === "drill" ? "is_drill" : "is_test")}` : ""), el("span", { class: "aside" }, moment(one.received)), el("span", {}, one.outcome_words ? said(one.outcome_words) : said(one.state_words))))) : el("p", { class: "aside" }, t("history_none"))),
    pushSheet("household"),
    el("section", { id: "account", class: "sheet" }, el("h2", {}, t("account")), el("p", {}, who()?.name ?? ""), el("p", { class: "aside" }, t("install")),
      queue.list().length && !queue.kept ? el("p", { class: "warning" }, t("keep_failed")) : "", button(t("sign_out"), leave, { id: "sign-out" })),
  ];
}

// -- joining

function joining() {
  const code = decodeURIComponent(joining.code);
  return [form({ id: "join", class: "sheet" }, [
    el("h1", {}, t("join")), el("p", { class: "aside" }, t("join_hint")),
    field("join_code", "code", { value: code, required: true, minlength: 6, maxlength: 64, autocomplete: "off", autocapitalize: "none" }),
    field("join_name", "name", { required: true, maxlength: 64, autocomplete: "name" }),
    field("join_login", "login", { required: true, minlength: 2, maxlength: 64, pattern: "\\S+", autocomplete: "username", autocapitalize: "none" }),
    el("label", {}, t("join_password", { n: PASSWORD_LEAST }), el("input", { name: "password", type: "password", required: true, minlength: PASSWORD_LEAST, maxlength: 256, autocomplete: "new-password" })),
    field("join_phone", "phone", { type: "tel", pattern: "\\+?[0-9 \\-]{3,24}", autocomplete: "tel" }),
    el("button", { class: "main" }, t("join_now")),
    el("a", { class: "button", href: "/phone/" }, t("have_account")),
  ], async ({ code: given, name, login, password, phone }) => {
    const body = { code: given.trim(), name: name.trim(), login: login.trim(), password, language, ...(phone.trim() ? { phone: phone.trim() } : {}) };
    const answer = await ask("POST", "/join", { body });
    if (!answer.ok) return wrong(answer);
    history.replaceState(null, "", "/phone/");
    joining.code = null;
    keep(JOINED, body.login); // nobody is let in before the grid worker has said yes
    draw();
    scrollTo(0, 0);
  })];
}
joining.code = null;
if (location.pathname === "/phone/join") {
  joining.code = location.hash.slice(1); // it is nobody's business once it stands in the form
  history.replaceState(null, "", "/phone/join");
}

function signedOut() {
  const pressed = queue.list("press");
  const joined = kept(JOINED, null);
  return [
    joined && el("section", { id: "joined", class: "sheet" }, el("h1", {}, t("waiting")), el("p", {}, t("joined_more", { login: joined }))),
    el("section", { id: "no-one", class: "alert" }, pressed.length ? null : el("p", { class: "large" }, t("needs_sign_in")), pressed.map(notSent).find(Boolean) ?? call110("danger")),
  ];
}

const joins = (drawTab) => () => (joining.code === null ? drawTab() : joining());

start({
  name: "page_household",
  roles: ["household"],
  tabs: [
    { id: "alarm", word: "tab_alarm", icon: "alarm", draw: joins(alarmTab), badge: () => (queue.list("press").length || current().length ? "!" : 0) },
    { id: "neighbours", word: "tab_neighbours", icon: "people", draw: joins(neighboursTab), badge: () => matters().length },
    { id: "news", word: "tab_news", icon: "news", draw: joins(newsTab), badge: () => unread().length },
    { id: "home", word: "tab_home", icon: "home", draw: joins(homeTab) },
  ],
  title: () => (near().some((one) => !one.mark) ? `(${matters().length}) ` : ""),
  busy: () => !homes().length || queue.list("press").length > 0 || current().length > 0 || near().length > 0,
  load,
  signedOut: () => (joining.code === null ? signedOut() : joining()),
  alone: () => joining.code !== null,
});
