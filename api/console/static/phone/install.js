// The installer's page: a device is scanned, hung, pressed within a signed window, its address read back, and handed over.
import { ask, Unreachable, who, wrong } from "./api.js";
import { language, learn, moment, said, t } from "./language.js";
import { WORDS as SHARED } from "./guard_words.js";
import { WORDS } from "./install_words.js";
learn(SHARED);
learn(WORDS);
import { codeReader } from "./camera.js";
import { account, doneAlready, hanging, hear, heard, load, pending, recall, sameAddress, state, unitIn, windowOf } from "./install_state.js";
import { button, draw, el, form, leave, line, queue, refresh, say, start, sure, tab } from "./shell.js";
import { waitingSection } from "./waiting.js";

const MINUTES = 30;
const SHOWN = 60; // places in the list; more are found by typing
let opened = null; // the device that is looked at
let wanted = ""; // what was typed to find a place

function open(unit) {
  opened = unit;
  wanted = "";
  if (tab().id !== "install") location.hash = "#install";
  draw();
  scrollTo(0, 0);
  refresh();
}

/** Why the station refused, in the reader's words. */
function why(answer) {
  const { type, faults, known, zh, detail } = answer.body ?? {};
  if (faults) return faults.map(said).join("；");
  if (type === "other_address") return t("install_read_other", { known });
  return type === "not_ready" ? (language === "zh" ? zh : detail) : wrong(answer);
}

// The list

const STEPS = { install: "install_place", siren: "install_siren", read_back: "install_read", hand_over: "install_over" };

const kept = () => waitingSection({
  why, what: (item) => [t(STEPS[item.about] ?? "not_sent", { n: 1 }), item.more?.unit ? el("code", {}, item.more.unit) : ""],
  more: [el("p", { class: "aside" }, t("install_queue_aside"))],
});

function leftOf(item) {
  const steps = (item.left ?? []).filter(({ step }) => !pending(item.unit, step));
  return item.unsent || !steps.length ? t("install_waits") : t("install_step", { words: steps.map((one) => said(one.words)).join(language === "zh" ? "；" : "; ") });
}

function card(item) {
  return el("section", { id: `item-${item.unit}`, class: "sheet" }, el("h2", { class: "mono" }, item.unit),
    el("p", { class: "large" }, item.address || item.place), el("p", {}, leftOf(item)),
    el("button", { type: "button", onclick: () => open(item.unit) }, t("field_open")));
}

async function close(window) {
  const answer = await ask("POST", `/installations/windows/${window.number}/close`);
  if (!answer.ok) return say(wrong(answer));
  return refresh();
}

function windows() {
  const now = state.windows.filter((one) => one.open && Date.parse(one.ends) > Date.now());
  if (!now.length) return null;
  return el("section", { id: "windows", class: "sheet" }, el("h2", {}, t("install_windows")), el("ul", { class: "rows" }, now.map((one) => el("li", {},
    el("span", {}, t("install_window", { gateway: one.gateway, place: one.place === null ? t("install_whole") : state.places.find(({ id }) => id === one.place)?.name ?? one.place, to: moment(one.ends) })),
    button(t("install_close"), () => close(one))))));
}

function everything() {
  const unsent = queue.list("install").filter((one) => one.state !== "refused" && !state.items?.some((item) => item.unit === one.more.unit)).map((one) => hanging(one.more.unit));
  const all = [...unsent, ...(state.items ?? [])];
  if (!state.items && !all.length) return [el("p", { id: "install-none", class: "empty" }, t(line.reached ? "loading" : "no_network")), kept()];
  return [
    el("h1", { id: "install-title" }, t("install_left", { n: all.length })),
    line.reached || !state.at ? null : el("p", { id: "old", class: "warning" }, t("as_of", { at: moment(new Date(state.at).toISOString()) })),
    all.length ? null : el("p", { id: "install-none", class: "empty" }, t("install_none")),
    el("a", { id: "to-scan", class: "button main big", href: "#scan" }, t("tab_scan")),
    ...all.map(card), windows(), kept(),
    who() ? el("section", { id: "me", class: "sheet" }, el("p", {}, who().name), button(t("sign_out"), leave)) : null,
  ];
}

// One device

const called = (place) => `${place.door === null ? "" : `${t("door_n", { n: place.door })} · `}${place.name}`;

function options() {
  const text = wanted.trim().toLowerCase();
  const found = state.places.filter((one) => !text || `${one.door ?? ""} ${one.name} ${one.id}`.toLowerCase().includes(text));
  return [
    el("option", { value: "" }, t(found.length ? "install_choose" : "install_no_place")),
    ...found.slice(0, SHOWN).map((one) => el("option", { value: one.id }, called(one))),
    found.length > SHOWN ? el("option", { value: "", disabled: true }, t("install_more", { n: found.length - SHOWN })) : "",
  ].filter(Boolean);
}

function choosePlace(unit) {
  return form({ id: "choose", class: "sheet" }, [
    el("h2", {}, t("install_place")),
    el("label", {}, t("install_find"), el("input", { name: "find", type: "search", autocomplete: "off", enterkeyhint: "search",
      oninput: ({ target }) => { wanted = target.value; document.getElementById("where").replaceChildren(...options()); } })),
    el("label", {}, t("install_which"), el("select", { id: "where", name: "place" }, options())),
    el("button", { class: "main big" }, t("install_hang")),
  ], ({ place }) => {
    const there = state.places.find((one) => one.id === place);
    if (!there) return t("install_place_needed");
    const path = `/register/units/${encodeURIComponent(unit)}`;
    queue.add({ path: `${path}/install`, seen: path, body: { place }, about: "install", more: { unit, place, name: there.name } });
    if (!line.reached) say(t("install_waits"));
    return "";
  });
}

function notHanging(unit) {
  const known = state.units.get(unit);
  if (state.over.has(unit) || known?.handed) return el("section", { id: "whole", class: "sheet" }, el("p", { class: "good large" }, `✓ ${t("install_handed")}`));
  if (known === null) return el("section", { id: "whole", class: "sheet" }, el("p", { class: "problem" }, t("install_unknown", { unit })));
  if (known && ["lost", "scrapped"].includes(known.state)) return el("section", { id: "whole", class: "sheet" }, el("p", { class: "problem" }, t("install_lost")));
  if (known?.place) return el("section", { id: "whole", class: "sheet" }, el("p", { class: "problem" }, t("install_elsewhere")));
  return choosePlace(unit);
}

async function openWindow(item) {
  const answer = await ask("POST", "/installations/windows", { body: { gateway: item.gateway, place: item.place, minutes: MINUTES } });
  if (!answer.ok) return say(wrong(answer));
  return refresh();
}

function results(item) {
  const ear = heard(item);
  const asked = (yes, word) => el("button", { type: "button", "aria-pressed": String(ear === yes), onclick: () => { hear(item, yes); draw(); } }, t(word));
  const faults = state.faults.filter((one) => one.there && one.about === item.unit);
  return [
    el("ul", { class: "rows" },
      el("li", { id: "result-station" }, el("b", {}, t("install_station")), item.chirped
        ? el("span", { class: "good" }, `✓ ${t("install_station_has", { at: moment(item.chirped), n: item.chirps })}`) : el("span", { class: "waits" }, t("install_station_not"))),
      el("li", { id: "result-siren" }, el("b", {}, t("install_siren")), ear === null ? el("span", {}, t("install_siren_asked"))
        : el("span", { class: ear ? "good" : "bad" }, ear ? `✓ ${t("install_siren_yes")}` : `✕ ${t("install_siren_no")}`),
        el("span", { class: "choices two wide" }, asked(true, "install_siren_yes"), asked(false, "install_siren_no")))),
    ear === false ? el("p", { class: "warning" }, t("install_siren_mend")) : "",
    faults.length ? el("div", {}, el("h3", {}, t("install_faults")), el("ul", {}, faults.map((one) => el("li", {}, said(one.words))))) : "",
  ];
}

function pressPart(item) {
  const window = windowOf(item);
  const head = el("h2", {}, t("install_press"), item.chirped && heard(item) ? " ✓" : "");
  if (item.unsent) return el("section", { id: "press-test", class: "sheet" }, head, el("p", { class: "warning" }, t("install_later")), el("p", {}, t("install_real")));
  if (!item.gateway) {
    return el("section", { id: "press-test", class: "sheet" }, head, el("p", { class: "warning" }, t("install_wire")),
      el("a", { class: "button", href: `/register/devices/${encodeURIComponent(item.unit)}` }, t("install_wire_there")));
  }
  const now = window ? [window.gateway_online ? el("p", { class: "hold" }, t("install_now", { to: moment(window.ends) })) : el("p", { class: "warning" }, t("install_away", { gateway: window.gateway }))]
    : line.reached ? [el("p", { class: "warning" }, t("install_real")), button(t("install_open"), () => openWindow(item), { type: item.chirped ? "" : "main big" })]
      : [el("p", { class: "warning" }, t("install_offline"))];
  return el("section", { id: "press-test", class: "sheet" }, head, now, window || item.chirped ? results(item) : "",
    window ? button(t("install_close"), () => close(window)) : "");
}

function readPart(item) {
  const waits = pending(item.unit, "read_back");
  const head = el("h2", {}, t("install_read"), item.read_back ? " ✓" : "");
  if (item.read_back) return el("section", { id: "read-back", class: "sheet" }, head, el("p", { class: "good" }, t(item.read_back_by === account() ? "install_signed_mine" : "install_signed", { at: moment(item.read_back) })));
  if (waits) return el("section", { id: "read-back", class: "sheet" }, head, el("p", { class: "waits" }, t("install_waits")));
  return form({ id: "read-back", class: "sheet" }, [
    head,
    el("label", {}, t("install_read_label"), el("input", { name: "address", maxlength: "200", autocomplete: "off", enterkeyhint: "done" })),
    el("button", { class: "main" }, t("install_sign")),
  ], ({ address }) => {
    if (!address.trim()) return t("install_read_needed");
    if (!sameAddress(address, item.address)) return t("install_read_other", { known: item.address });
    queue.add({ path: `/installations/${encodeURIComponent(item.unit)}/read-back`, body: { address: address.trim() }, about: "read_back", more: { unit: item.unit, place: item.place } });
    return "";
  });
}

function overPart(item) {
  const waits = pending(item.unit, "hand_over");
  const ready = item.chirped && heard(item) && (item.read_back || pending(item.unit, "read_back"));
  return el("section", { id: "hand-over", class: "sheet" }, el("h2", {}, t("install_over")),
    waits ? el("p", { class: "waits" }, t("install_waits"))
      : ready ? button(t("install_over_now"), async () => {
        if (!(await sure(t("install_over_sure", { unit: item.unit }), t("install_over_now")))) return;
        queue.add({ path: `/installations/${encodeURIComponent(item.unit)}/hand-over`, about: "hand_over", more: { unit: item.unit, place: item.place } });
      }, { type: "main big" })
        : el("p", {}, t("install_over_left")));
}

/** Its place is chosen anew; what was signed for the other one is not sent. */
function forget(unit) {
  for (const item of queue.list().filter(({ more }) => more?.unit === unit)) queue.drop(item.id);
}

function one(unit) {
  const item = hanging(unit);
  const serial = state.units.get(unit)?.serial;
  return [
    el("button", { id: "back", type: "button", class: "quiet", onclick: () => { opened = null; draw(); } }, `‹ ${t("back")}`),
    el("section", { id: "unit", class: "sheet" }, el("h1", { class: "mono" }, unit), serial ? el("p", { class: "aside" }, serial) : "",
      item ? el("p", { class: "large" }, t("install_hangs", { place: item.address || item.place })) : "",
      item?.unsent ? [el("p", { class: "waits" }, t("install_waits")), el("button", { type: "button", onclick: () => forget(unit) }, t("install_other_place"))] : "",
      item && !item.unsent ? el("a", { class: "button", href: `/register/places/${encodeURIComponent(item.place)}` }, t("install_take_down")) : "",
      line.reached || item || state.units.has(unit) ? "" : el("p", { class: "warning" }, t("install_unchecked"))),
    ...(item ? [pressPart(item), readPart(item), overPart(item)]
      : line.reached && !state.units.has(unit) ? [el("p", { id: "whole", class: "empty" }, t("loading"))] : [notHanging(unit)]),
    queue.list().length ? kept() : null,
  ];
}

// Scanning

const reader = codeReader((text) => {
  const unit = unitIn(text);
  if (!unit) return t("install_not_ours");
  open(unit);
  return "";
});

const scan = () => [
  el("h1", { id: "scan-title" }, t("tab_scan")),
  reader.section(),
  el("section", { id: "typing", class: "sheet" }, el("h2", {}, t("type_title")), form({ id: "type" }, [
    el("label", {}, t("install_type_label"), el("input", { name: "written", maxlength: "200", autocomplete: "off", autocapitalize: "none", spellcheck: "false", enterkeyhint: "done" })),
    el("button", { class: "main" }, t("install_begin")),
  ], ({ written }, made) => {
    const unit = unitIn(written);
    if (!unit) return t(written.trim() ? "install_type_bad" : "type_empty");
    made.reset();
    open(unit);
    return "";
  })),
];

queue.addEventListener("answered", ({ detail: { item } }) => {
  if (item.about !== "hand_over") return;
  state.over.add(item.more.unit);
  state.items = state.items?.filter((one) => one.unit !== item.more.unit) ?? null;
});
queue.addEventListener("refused", async ({ detail: { item } }) => {
  try {
    if (!(await doneAlready(item))) return;
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    return; // it stands in the list as refused, and somebody looks
  }
  if (item.about === "hand_over") state.over.add(item.more.unit);
  queue.drop(item.id);
  refresh();
});
addEventListener("hashchange", () => {
  reader.stop();
  if (tab().id !== "install") opened = null;
});

recall();
opened = unitIn(new URLSearchParams(location.search).get("unit") ?? ""); // a label's page leads here
if (location.search) history.replaceState(null, "", `${location.pathname}${location.hash}`);

start({
  name: "page_install",
  roles: ["installer", "grid_worker", "community", "officer", "duty_officer"],
  load: () => load(opened),
  busy: () => opened !== null && hanging(opened) !== null && windowOf(hanging(opened)) !== null,
  tabs: [
    { id: "install", word: "tab_install", icon: "list", badge: () => state.items?.length ?? 0, draw: () => (opened ? one(opened) : everything()) },
    { id: "scan", word: "tab_scan", icon: "check", draw: scan },
  ],
});
