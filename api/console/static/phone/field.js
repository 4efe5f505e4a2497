// For grid workers and communities on the way: the alarms of the area, what is left to do, one's own duty.
import { ask, list, who, wrong } from "./api.js";
import { ago, learn, moment, said, t } from "./language.js";
import { WORDS } from "./guard_words.js";
learn(WORDS);
import { helpAnswered, helpKey, helpNow, loadHelp, nearCards } from "./guard_help.js";
import { pushSheet, renew } from "./push.js";
import { inOrder, light } from "./urgency.js";
import { button, draw, el, form, icon, leave, line, queue, read, refresh, say, start, tab } from "./shell.js";
import { ring, watcher } from "./ringing.js";

const CALM = new Set(["drill", "test"]);
const GOING = new Set(["acknowledged", "verified", "dispatched"]);
const heard = watcher(() => ring([880, 660, 880]));
let alarms = null;
let opened = null; // one alarm with all that belongs to it
let errands = null;
let tasks = null;
let resolved = null;
let duty = null; // { now: [...], lines: [...] }

const mine = () => who()?.grants.filter((one) => ["grid_worker", "community"].includes(one.role)) ?? [];

async function load() {
  renew("field");
  const page = await list("/alarms?open=true&limit=200", 1000);
  if (page.ok) {
    alarms = inOrder(page.items);
    heard(alarms.filter((one) => light(one.state) === "sent" && !one.mark).map((one) => one.id));
  }
  await loadHelp();
  if (opened) opened = await read(`/alarms/${opened.id}`);
  const [visits, todo, over] = await Promise.all([read("/errands"), mine().some((one) => one.role === "grid_worker") ? read("/tasks?state=assigned&limit=100") : null, read("/alarms?state=resolved&limit=50")]);
  errands = visits?.items ?? errands;
  tasks = todo?.items ?? tasks;
  resolved = over?.items.filter((one) => !one.mark) ?? resolved;
  if (tab().id === "duty") await loadDuty();
}

async function loadDuty() {
  const own = who()?.account;
  const found = await Promise.all(mine().map(async ({ role, scope }) => ({ role, area: scope, on: await read(`/duty/now?role=${role}&area=${encodeURIComponent(scope)}`) })));
  const roster = await list("/duty/roster?limit=200", 1000);
  duty = {
    now: found.filter((one) => one.on).map((one) => ({ ...one, serves: one.on.accounts.includes(own), words: one.on.role_words })),
    lines: roster.ok ? roster.items.filter((one) => one.account === own) : [],
  };
}

// Alarms

function place(one) {
  const words = [one.label, one.address].filter(Boolean).join(" · ");
  return el("p", { class: "place" }, one.door === null ? "" : el("b", { class: "door" }, t("door_n", { n: one.door })), " ", words || (one.door === null ? t("order_place_unknown") : ""));
}

function headOf(one, level) {
  return [
    el("div", { class: "title" }, icon(`kinds.svg#${one.kind}`, "kind"), el(level, {}, said(one.words)), el("span", { class: "aside" }, ago(one.received))),
    place(one),
    one.do_not_call ? el("p", { class: "warning" }, t("do_not_call")) : "",
    one.stand_back ? el("p", { class: "warning" }, t("stand_back")) : "",
    el("p", { class: "state" }, said(one.state_words), one.acknowledged ? ` · ${t("field_taken_by", { name: one.acknowledged.name ?? one.acknowledged.by })}` : ""),
  ];
}

async function show(id) {
  opened = await read(`/alarms/${id}`);
  draw();
  scrollTo(0, 0);
}

async function act(one, verb) {
  const answer = await ask("POST", `/alarms/${one.id}/${verb}`, { body: {} });
  if (answer.ok) say(t("done"));
  else if (answer.body?.type === "already_acknowledged") say(t("field_taken_by", { name: answer.body.name ?? answer.body.by }));
  else say(wrong(answer));
  await refresh();
}

function acts(one) {
  if (light(one.state) === "sent") return [button(t("field_acknowledge"), () => act(one, "acknowledge"), { type: "main big" })];
  return [
    GOING.has(one.state) && !one.on_the_way ? button(t("field_way"), () => act(one, "on-the-way"), { type: "main" }) : "",
    (GOING.has(one.state) || one.state === "on_the_way") && !one.on_scene ? button(t("field_scene"), () => act(one, "on-scene"), { type: one.on_the_way ? "main" : "" }) : "",
  ];
}

function card(one) {
  return el("section", { id: `alarm-${one.id}`, class: `sheet card-of ${light(one.state)}`, "data-kind": one.kind }, headOf(one, "h2"),
    light(one.state) === "sent" ? acts(one) : "",
    button(t("field_open"), () => show(one.id)));
}

function answers(one) {
  if (!one.answers) return "";
  return [el("p", {}, t("field_neighbours", one.answers)), el("p", { class: "aside" }, t("field_reachable", { n: one.answers.reachable }))];
}

function alarmView(one) {
  return [
    el("button", { id: "alarm-back", type: "button", class: "quiet", onclick: () => { opened = null; draw(); } }, `‹ ${t("back")}`),
    el("section", { id: `opened-${one.id}`, class: `sheet card-of ${light(one.state)}`, "data-kind": one.kind }, headOf(one, "h1"),
      one.notes.length ? el("div", {}, el("h3", {}, t("order_notes")), el("ul", {}, one.notes.map((note) => el("li", { class: "pre" }, note)))) : "",
      answers(one), acts(one)),
    el("section", { id: "steps", class: "sheet" }, el("h2", {}, t("field_steps")), el("ol", { class: "rows" }, one.steps.map((step) =>
      el("li", {}, el("span", { class: "what" }, said(step.words)), el("span", { class: "aside" }, moment(step.at)))))),
  ];
}

function alarmsTab() {
  if (opened) return alarmView(opened);
  if (!alarms) return [helpNow(), helpKey(null), el("p", { id: "alarms-none", class: "empty" }, t(line.reached ? "loading" : "no_network"))];
  const real = alarms.filter((one) => !CALM.has(one.mark));
  const calm = alarms.filter((one) => CALM.has(one.mark));
  return [
    helpNow(),
    ...nearCards(),
    line.reached ? null : el("p", { id: "old", class: "warning" }, t("no_network")),
    ...real.map(card),
    real.length || !line.reached ? null : el("p", { id: "alarms-none", class: "empty" }, t("field_none")),
    calm.length ? el("details", { id: "calm", class: "sheet" }, el("summary", {}, t("field_drills", { n: calm.length })), calm.map(card)) : null,
    helpKey(null),
  ];
}

// To do

function errand(one) {
  return el("section", { id: `errand-${one.id}`, class: "sheet" }, el("h3", {}, said(one.words)), one.about ? el("p", { class: "pre" }, one.about) : "",
    el("p", { class: "aside" }, [one.place, moment(one.opened)].filter(Boolean).join(" · ")),
    form({ class: "choices" }, [
      el("label", {}, t("errand_found"), el("textarea", { name: `found-${one.id}`, rows: "2", maxlength: "1000" })),
      el("button", { class: "main" }, t("errand_done")),
    ], (values) => done(`/errands/${one.id}/done`, values[`found-${one.id}`], (found) => ({ found }))));
}

async function done(path, words, body) {
  const text = words.trim();
  if (!text) return t("errand_needed");
  const answer = await ask("POST", path, { body: body(text) });
  if (!answer.ok) return wrong(answer);
  say(t("done"));
  await refresh();
  return "";
}

function task(one) {
  return el("section", { id: `task-${one.number}`, class: "sheet" }, el("h3", { class: "pre" }, one.words),
    el("p", { class: one.overdue ? "warning" : "" }, t("task_due", { at: moment(one.due) }), one.overdue ? ` · ${t("task_overdue")}` : ""),
    form({ class: "choices" }, [
      el("label", {}, t("errand_found"), el("textarea", { name: `task-found-${one.number}`, rows: "2", maxlength: "2000" })),
      el("button", { class: "main" }, t("errand_done")),
    ], (values) => done(`/tasks/${one.number}/done`, values[`task-found-${one.number}`], (words) => ({ words }))));
}

function followUp(one) {
  const name = `satisfaction-${one.id}`;
  return el("section", { id: `follow-${one.id}`, class: "sheet" }, headOf(one, "h3"),
    form({ class: "choices" }, [
      el("fieldset", { class: "choices rate" }, el("legend", {}, t("field_follow_how")), [5, 4, 3, 2, 1].map((mark) =>
        el("label", { class: "pick" }, el("input", { type: "radio", name, value: String(mark) }), t(`sat_${mark}`)))),
      el("label", {}, t("field_follow_words"), el("textarea", { name: `words-${one.id}`, rows: "2", maxlength: "1000" })),
      el("button", { class: "main" }, t("field_follow_send")),
    ], async (values) => {
      if (!values[name]) return t("field_follow_needed");
      const answer = await ask("POST", `/alarms/${one.id}/follow-up`, { body: { satisfaction: Number(values[name]), words: values[`words-${one.id}`].trim() } });
      if (!answer.ok) return answer.body?.type === "same_hands" ? t("field_follow_other") : wrong(answer);
      say(t("done"));
      await refresh();
      return "";
    }));
}

function part(id, word, none, found, made) {
  return [el("h2", { id }, t(word)), ...(found?.length ? found.map(made) : [el("p", { id: `${id}-none`, class: "aside" }, t(found ? none : line.reached ? "loading" : "no_network"))])];
}

const todo = () => [
  ...part("follow", "field_follow", "field_follow_none", resolved, followUp),
  ...part("errands", "errands", "errands_none", errands, errand),
  ...(mine().some((one) => one.role === "grid_worker") ? part("tasks", "tasks", "tasks_none", tasks, task) : []),
];

// Duty

const hours = (minutes) => `${String(Math.floor(minutes / 60) % 24).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;

const me = () => (who() ? el("section", { id: "me", class: "sheet" }, el("p", {}, who().name), button(t("sign_out"), leave)) : null);

function dutyTab() {
  if (!duty) return [me(), el("p", { id: "duty-none", class: "empty" }, t(line.reached ? "loading" : "no_network"))];
  const serves = duty.now.some((one) => one.serves);
  return [
    el("section", { id: "duty-now", class: `sheet card-of ${serves ? "seen" : ""}` }, el("h1", {}, t(serves ? "duty_now_yes" : "duty_now_no")),
      duty.now.map((one) => el("p", {}, [said(one.words), one.area].filter(Boolean).join(" · "), one.serves ? " ✓" : ""))),
    el("section", { id: "duty-lines", class: "sheet" }, el("h2", {}, t("duty_lines")), duty.lines.length ? el("ul", { class: "rows" }, duty.lines.map((one) => el("li", {},
      el("b", {}, t("duty_from_to", { from: hours(one.starts_min), to: hours(one.starts_min + one.lasts_min) })),
      el("span", {}, one.weekdays.length === 7 ? t("duty_every_day") : t("duty_days", { days: one.weekdays.join("、") })),
      el("span", { class: "aside" }, `${said(one.role_words)} · ${one.area}`, one.deputy_of ? ` · ${t("duty_deputy")}` : "")))) : el("p", { class: "empty" }, t("duty_none"))),
    pushSheet("field"),
    me(),
  ];
}

addEventListener("hashchange", () => {
  opened = null;
  refresh();
});

queue.addEventListener("answered", ({ detail: { item, answer } }) => helpAnswered(item, answer));

const waiting = () => alarms?.filter((one) => light(one.state) === "sent" && !one.mark).length ?? 0;

start({
  name: "page_field",
  title: () => (waiting() ? `(${waiting()}) ` : ""),
  roles: ["grid_worker", "community"],
  load,
  tabs: [
    { id: "alarms", word: "tab_alarms", icon: "alarm", badge: waiting, draw: alarmsTab },
    { id: "todo", word: "tab_todo", icon: "list", badge: () => (resolved?.length ?? 0) + (errands?.length ?? 0) + (tasks?.length ?? 0), draw: todo },
    { id: "duty", word: "tab_duty", icon: "people", draw: dutyTab },
  ],
});
