// My points: what they add up to, each entry with its reason, and an appeal against one.
import { who } from "./api.js";
import { moment, said, t } from "./language.js";
import { state } from "./guard_state.js";
import { pushSheet } from "./push.js";
import { button, draw, el, form, leave, line, queue, read, say } from "./shell.js";

let balance = null;
let grade = null;
let entries = null;
let opened = null; // the explanation that is looked at

export async function loadPoints() {
  if (!state.own) return;
  const { guard } = state.own;
  const [sum, level, page] = await Promise.all([read(`/points/guards/${guard}`), read(`/points/guards/${guard}/grade`), read(`/points/entries?guard=${guard}&limit=50`)]);
  [balance, grade, entries] = [sum, level, page?.items ?? null];
  if (opened) opened = await read(`/points/entries/${opened.entry.id}`);
}

const points = (tenths) => `${tenths > 0 ? "+" : ""}${(tenths / 10).toFixed(tenths % 10 ? 1 : 0)}`;
const sign = (tenths) => (tenths < 0 ? "bad" : "good");

async function open(id) {
  opened = await read(`/points/entries/${id}`);
  draw();
  scrollTo(0, 0);
}

function row(one) {
  return el("li", {}, el("button", { type: "button", class: "entry", onclick: () => open(one.id) },
    el("b", { class: sign(one.points_tenths) }, points(one.points_tenths)), el("span", { class: "what" }, said(one.reason)),
    el("span", { class: "aside" }, moment(one.occurred)), el("span", { class: "mark" }, one.reversed_by ? t("entry_reversed") : said(one.state_words))));
}

function appeal({ entry }) {
  const waits = queue.list("appeal").find((one) => one.more.entry === entry.id && one.state !== "refused");
  if (waits) return el("p", { class: "waits" }, `${t("appeal_kept")}: ${t("kept_waits")}`);
  if (!entry.appeal_until || entry.state !== "pending" || Date.parse(entry.appeal_until) < Date.now()) return "";
  return form({ class: "choices" }, [
    el("p", {}, t("entry_until", { at: moment(entry.appeal_until) })),
    el("label", {}, t("appeal_words"), el("textarea", { name: "words", rows: "3", maxlength: "1000" })),
    el("button", { class: "main" }, t("appeal_send")),
  ], ({ words }) => {
    if (!words.trim()) return t("appeal_needed");
    queue.add({ path: `/points/entries/${entry.id}/appeal`, body: { words: words.trim() }, about: "appeal", more: { entry: entry.id, words: words.trim().slice(0, 20) } });
    say(t("appeal_kept"));
    draw();
    return "";
  });
}

function explanation() {
  const { entry, rule, but, steps, evidence, evidence_words: cited } = opened;
  const against = appeal(opened);
  return [
    el("button", { id: "entry-back", type: "button", class: "quiet", onclick: () => { opened = null; draw(); } }, `‹ ${t("back")}`),
    el("section", { id: `entry-${entry.id}`, class: "sheet" },
      el("div", { class: "title" }, el("h1", {}, t("entry_title")), el("b", { class: `large ${sign(entry.points_tenths)}` }, points(entry.points_tenths))),
      el("p", { class: "large pre" }, said(entry.reason)),
      el("p", { class: "aside" }, `${moment(entry.occurred)} · ${entry.reversed_by ? t("entry_reversed") : said(entry.state_words)}`),
      el("h3", {}, `${t("entry_rule")} ${entry.rule}`), el("p", { class: "pre" }, said(rule)),
      but ? [el("h3", {}, t("entry_but")), el("p", { class: "pre" }, said(but))] : "",
      evidence.length ? el("details", {}, el("summary", {}, t("entry_evidence")), el("ul", {}, evidence.map((one, nth) => el("li", {}, cited?.[nth] ? said(cited[nth]) : el("code", {}, one))))) : "",
      steps.length ? el("ul", {}, steps.map((one) => el("li", { class: "pre" }, `${moment(one.at)} ${one.action === "appeal" ? t("appealed") : t("decided")}: ${one.words ?? ""}`))) : ""),
    against ? el("section", { id: "appeal", class: "sheet" }, against) : null,
  ];
}

function me() {
  if (!who()) return [];
  return [pushSheet("guard"), el("section", { id: "me", class: "sheet" }, el("p", {}, [who().name, state.own?.service_number].filter(Boolean).join(" · ")), button(t("sign_out"), leave))];
}

export function pointsTab() {
  if (opened) return explanation();
  if (!balance) return [el("h1", { id: "points-title" }, t("points_title")), el("p", { id: "points-none", class: "empty" }, t(line.reached ? (state.own ? "loading" : "not_a_guard") : "points_need_network")), ...me()];
  return [
    el("section", { id: "balance", class: "sheet" }, el("h1", {}, t("points_title")),
      el("p", { class: "sum" }, el("span", {}, t("points_total")), el("b", { class: sign(balance.points_tenths) }, points(balance.points_tenths))),
      balance.pending_tenths ? el("p", {}, t("points_pending", { n: points(balance.pending_tenths) })) : "",
      grade ? el("p", { class: "aside" }, t("points_grade", { grade: grade.grade, n: grade.checks_a_month })) : "",
      balance.months.length ? el("details", {}, el("summary", {}, t("points_months")), el("ul", { class: "rows" }, balance.months.map((one) =>
        el("li", {}, el("span", {}, one.month), el("b", { class: sign(one.points_tenths) }, points(one.points_tenths)))))) : ""),
    el("section", { id: "entries", class: "sheet" }, el("h2", {}, t("points_entries")),
      entries?.length ? el("ul", { class: "rows" }, entries.map(row)) : el("p", { class: "empty" }, t("points_none"))),
    ...me(),
  ];
}
