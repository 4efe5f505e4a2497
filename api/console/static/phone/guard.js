// The guard's page: today's rounds, checking in, what to report, points; orders and roll-calls before everything else.
import { learn, moment, said, t } from "./language.js";
import { WORDS } from "./guard_words.js";
learn(WORDS);
import { checkTab, stopScanning } from "./guard_check.js";
import { pointsTab, loadPoints } from "./guard_points.js";
import { helpAnswered, helpKey, helpNear, helpNow, loadHelp, nearCards } from "./guard_help.js";
import { loadMatters, reportTab, reportAnswered } from "./guard_report.js";
import { checkIn, compareClocks, compared, exact, isOpen, lastHere, loadOwn, nameOf, next, onTime, recall, state, waitingAt } from "./guard_state.js";
import { renew } from "./push.js";
import { codeIn } from "./scan.js";
import { ring, watcher } from "./ringing.js";
import { button, draw, el, form, icon, line, queue, read, refresh, say, start, tab } from "./shell.js";
import { waitingSection } from "./waiting.js";

const heardOrders = watcher(() => ring([880, 660, 880, 660, 880]));
const heardCalls = watcher(() => ring([660, 660]));
const heardHelp = watcher(() => ring([988, 740, 988, 740, 988, 740]));
let opened = null; // the number of the order that is looked at

async function load() {
  renew("guard");
  const [orders, calls] = await Promise.all([read("/orders?open=true&limit=20"), read("/roll-calls/waiting"), loadOwn(), loadHelp()]);
  state.orders = orders?.items.filter((one) => one.alarm) ?? [];
  state.calls = calls?.items ?? [];
  const alarms = await Promise.all(state.orders.map((one) => read(`/alarms/${one.alarm}`)));
  state.alarms = new Map(alarms.filter(Boolean).map((one) => [one.id, one]));
  heardOrders(state.orders.filter((one) => ["waiting", "unanswered"].includes(one.stage)).map((one) => one.number));
  heardHelp(helpNear().map((one) => one.alarm));
  heardCalls(state.calls.map((one) => one.number));
  if (opened !== null && !state.orders.some((one) => one.number === opened)) {
    opened = null;
    say(t("order_over"));
  }
  if (state.skew === null) await compareClocks();
  if (tab().id === "points") await loadPoints();
  if (tab().id === "report") await loadMatters();
}

// Today

const pending = (about, number) => queue.list(about).find((one) => one.more?.number === number && one.state !== "refused");

function place(alarm) {
  const words = [alarm?.label, alarm?.address].filter(Boolean).join(" · ");
  return el("p", { class: "place" }, alarm?.door !== null && alarm?.door !== undefined ? el("b", { class: "door" }, t("door_n", { n: alarm.door })) : "",
    " ", words || (alarm?.door ? "" : t("order_place_unknown")));
}

function orderHead(order, alarm) {
  return [
    el("div", { class: "title" }, alarm ? icon(`kinds.svg#${alarm.kind}`, "kind") : "", el("h2", {}, alarm ? said(alarm.words) : t("order_title")),
      el("span", { class: "mark" }, said(order.stage_words))),
    alarm ? place(alarm) : "",
    alarm?.do_not_call ? el("p", { class: "warning" }, t("do_not_call")) : "",
    alarm?.stand_back ? el("p", { class: "warning" }, t("stand_back")) : "",
  ];
}

function orderCard(order) {
  const alarm = state.alarms.get(order.alarm);
  return el("section", { id: `order-${order.number}`, class: "sheet urgent" },
    el("p", { class: "urgent-word" }, t("order_new")), orderHead(order, alarm),
    el("button", { type: "button", class: "main", onclick: () => { opened = order.number; draw(); scrollTo(0, 0); } }, t("order_open")));
}

function step(order, verb, word, { main = false, body = {} } = {}) {
  return button(t(word), () => {
    queue.add({ path: `/orders/${order.number}/${verb}`, body, about: "order", urgent: true, more: { number: order.number, word } });
  }, { type: main ? "main" : "" });
}

function orderSteps(order) {
  const waits = pending("order", order.number);
  if (waits) return [el("p", { class: "waits" }, `${t(waits.more.word)}: ${t("kept_waits")}`)];
  if (order.stage === "arrived") return [el("p", { class: "large" }, t("order_arrived"))];
  const there = button(t("order_arrive_plain"), () => {
    queue.add({ path: `/alarms/${order.alarm}/on-scene`, body: {}, about: "order", urgent: true, more: { number: order.number, word: "order_arrive_plain" } });
  });
  if (order.stage === "on_the_way") {
    return [el("a", { class: "button main", href: "#check" }, t("order_arrive")), there];
  }
  if (order.stage === "accepted") return [step(order, "on-the-way", "order_way", { main: true }), el("a", { class: "button", href: "#check" }, t("order_arrive"))];
  return [
    order.due ? el("p", { class: "large" }, t("order_answer_until", { at: exact(order.due) })) : el("p", { class: "warning" }, t("order_unanswered")),
    step(order, "accept", "order_accept", { main: true }),
    form({ class: "choices decline" }, [
      el("label", {}, t("order_why"), el("input", { name: "words", maxlength: "200", autocomplete: "off" })),
      el("button", {}, t("order_decline")),
    ], ({ words }) => {
      queue.add({ path: `/orders/${order.number}/decline`, body: words.trim() ? { words: words.trim() } : {}, about: "order", urgent: true,
        more: { number: order.number, word: "order_decline" } });
      return "";
    }),
  ];
}

function orderView(order) {
  const alarm = state.alarms.get(order.alarm);
  return [
    el("button", { id: "order-back", type: "button", class: "quiet", onclick: () => { opened = null; draw(); } }, `‹ ${t("back")}`),
    el("section", { id: `opened-${order.number}`, class: "sheet urgent" }, orderHead(order, alarm),
      order.words ? el("div", {}, el("h3", {}, t("order_words")), el("p", { class: "pre large" }, order.words)) : "",
      alarm?.notes?.length ? el("div", {}, el("h3", {}, t("order_notes")), el("ul", {}, alarm.notes.map((one) => el("li", { class: "pre" }, one)))) : "",
      el("p", { class: "warning" }, t("first_safety"))),
    el("section", { id: "order-steps", class: "sheet" }, orderSteps(order), el("p", { class: "aside" }, t("order_excused"))),
    helpNow(), helpKey(lastHere()),
  ];
}

function callCard(call) {
  const waits = pending("call", call.number);
  const points = new Map((state.own?.rounds ?? []).flatMap((one) => one.visits.map(({ point }) => [point.id, point.name])));
  const here = state.own?.last?.point.id;
  return el("section", { id: `call-${call.number}`, class: "sheet urgent" },
    el("h2", {}, said(call.way_words)), call.words ? el("p", { class: "pre large" }, call.words) : "",
    waits ? el("p", { class: "waits" }, `${t("answered_call")}: ${t("kept_waits")}`)
      : [el("p", { class: "large" }, t("answer_until", { at: exact(call.due) })),
        form({ class: "choices" }, [
          points.size ? el("label", {}, t("where_are_you"), el("select", { name: "claimed" }, el("option", { value: "" }, t("not_said")),
            [...points].map(([id, name]) => el("option", { value: id, selected: id === here }, name)))) : "",
          el("button", { class: "main" }, t("answer_now")),
        ], ({ claimed }) => {
          queue.add({ path: `/roll-calls/${call.number}/answer`, body: claimed ? { claimed } : {}, about: "call", urgent: true, more: { number: call.number, word: "answered_call" } });
          return "";
        })]);
}

function band(round, visit) {
  const [from, to] = onTime(round, visit);
  const now = Date.now();
  const words = visit.planned ? t("on_time_between", { from: moment(from), to: moment(to) }) : t("any_time_until", { to: moment(to) });
  if (now < Date.parse(visit.opens)) return [words, t("too_early_yet", { from: moment(visit.opens) })];
  if (now > Date.parse(to)) return [t("late_now", { to: moment(visit.closes) })];
  return visit.closes === visit.due ? [words] : [words, t("counts_until", { to: moment(visit.closes) })];
}

function nextCard() {
  if (!state.own) return el("section", { id: "next", class: "sheet" }, el("p", { class: "empty" }, line.reached ? t("not_a_guard") : t("no_network")));
  const found = next();
  if (!found) return el("section", { id: "next", class: "sheet" }, el("p", { class: "empty" }, t(state.own.rounds.length ? "no_more_points" : "no_rounds")));
  const { round, visits } = found;
  const [visit, ...others] = visits;
  const late = Date.now() > Date.parse(visit.due);
  return el("section", { id: "next", class: "sheet next" },
    el("p", { class: "aside" }, t(round.order === "free" ? "next_any" : "next_point"), " · ", round.name),
    el("h1", { class: "point" }, visit.point.name),
    visit.planned ? el("p", { class: "planned" }, moment(visit.planned)) : "",
    band(round, visit).map((one) => el("p", { class: late ? "warning" : "large" }, one)),
    visit.dwell_s ? el("p", {}, t("stay_least", { n: visit.dwell_s })) : "",
    el("a", { class: "button main big", href: "#check" }, t("check_in_here")),
    round.order === "free" && others.length ? el("p", { class: "aside" }, others.map((one) => one.point.name).join("、")) : "");
}

const unfolded = new Map(); // rounds that somebody has folded or unfolded himself

const MARKS = { on_time: "✓", early: "△", late: "△", missed: "✕", wrong_order: "⇅", too_fast: "»", excused: "○", pending: "·" };

function visitRow(visit) {
  const kept = waitingAt(visit);
  const [mark, words, type] = kept ? ["↑", t("waits_here"), "waits"]
    : visit.outcome === "pending" && visit.seen ? ["✓", t("seen_at", { at: moment(visit.seen) }), "good"]
      : [MARKS[visit.outcome] ?? "·", visit.excuse_words ? `${said(visit.outcome_words)}（${said(visit.excuse_words)}）` : said(visit.outcome_words),
        ["on_time", "excused"].includes(visit.outcome) ? "good" : visit.outcome === "pending" ? "" : "bad"];
  return el("li", { class: isOpen(visit) ? "open" : "" },
    el("span", { class: `outcome ${type}`, "aria-hidden": "true" }, mark), el("span", { class: "what" }, visit.point.name,
      visit.optional ? el("span", { class: "mark" }, t("optional")) : ""),
    el("span", { class: "aside" }, visit.planned ? moment(visit.planned) : ""), el("span", { class: `said ${type}` }, words));
}

function roundsSection() {
  const rounds = state.own?.rounds ?? [];
  const now = next()?.round.number;
  return el("section", { id: "rounds", class: "sheet" }, el("h2", {}, t("rounds_today")),
    line.reached || !state.ownAt ? "" : el("p", { class: "warning" }, t("as_of", { at: moment(new Date(state.ownAt).toISOString()) })),
    rounds.length ? rounds.map((round) => el("details", { open: unfolded.get(round.number) ?? round.number === now,
      ontoggle: ({ target }) => unfolded.set(round.number, target.open) },
      el("summary", {}, `${moment(round.begins)}–${moment(round.ends)} ${round.name}`),
      el("p", { class: "aside" }, t(`order_${round.order}`)),
      el("ol", { class: "visits" }, round.visits.map(visitRow)))) : el("p", { class: "empty" }, t("no_rounds")),
    state.own?.last ? el("p", { class: "aside" }, t("last_check_in", { point: state.own.last.point.name, at: moment(state.own.last.at) })) : "");
}

const urgent = () => state.orders.length + state.calls.length + helpNear().length;

// The queue

const WHAT = { check_in: "tab_check", order: "order_title", call: "roll_call", report: "report_title", photo: "report_photo", appeal: "appealed", help: "help_mine", help_cancel: "help_cancel" };

function clock() {
  if (state.skew === null) return t("clock_unknown");
  const seconds = Math.round(Math.abs(state.skew) / 1000);
  const n = seconds < 120 ? t("for_seconds", { n: seconds }) : seconds < 7200 ? t("for_minutes", { n: Math.round(seconds / 60) }) : t("for_hours", { n: Math.round(seconds / 3600) });
  return seconds < 2 ? t("clock_right") : t(state.skew > 0 ? "clock_ahead" : "clock_behind", { n });
}

const kept = () => waitingSection({
  what: (item) => [t(WHAT[item.about] ?? "not_sent", { n: 1 }), item.more?.point ? ` ${nameOf(item.more.point)}` : item.more?.written ? el("code", {}, item.more.written) : "", item.more?.words ? ` ${item.more.words}` : ""],
  more: [el("p", { class: "aside" }, clock()), el("p", { class: "aside" }, t("queue_aside"))],
});

function today() {
  const order = state.orders.find((one) => one.number === opened);
  if (order) return orderView(order);
  return [helpNow(), ...nearCards(), ...state.orders.map(orderCard), ...state.calls.map(callCard), nextCard(), helpKey(lastHere()), kept(), roundsSection()];
}

queue.addEventListener("answered", ({ detail: { item, answer } }) => {
  if (item.about === "check_in") {
    compared(answer.body.skew_ms);
    const [told] = answer.body.items;
    const mine = state.done.find((one) => one.key === item.key);
    if (mine) Object.assign(mine, { sent: true, point: told.point ?? mine.point, known: told.point !== null || told.known, words: told.words });
    loadOwn(true).then(draw, () => {});
  }
  reportAnswered(item, answer);
  helpAnswered(item, answer);
  if (item.about === "appeal") loadPoints().then(draw, () => {});
});

addEventListener("hashchange", () => {
  stopScanning();
  opened = null;
  if (tab().id !== "check") refresh();
});

// A checkpoint's code was opened as an address, and there was no network: the worker gave this page for it.
const scanned = location.pathname.startsWith("/phone/c/") ? codeIn(location.pathname.slice(9)) : null;
recall();
if (scanned) {
  history.replaceState(null, "", "/phone/guard#check");
  checkIn("qr", scanned);
}

start({
  name: "page_guard",
  title: () => (urgent() ? `(${urgent()}) ` : ""),
  roles: ["guard"],
  load,
  pause: 10_000, // no feed tells of a roll-call, and 3 minutes are soon over
  busy: () => urgent() > 0 || queue.list("help").length > 0 || helpNow() !== null,
  tabs: [
    { id: "today", word: "tab_today", icon: "round", badge: urgent, draw: today },
    { id: "check", word: "tab_check", icon: "check", badge: () => queue.list("check_in").length, draw: checkTab },
    { id: "report", word: "tab_report", icon: "news", draw: reportTab },
    { id: "points", word: "tab_points", icon: "star", draw: pointsTab },
  ],
});
