// Checking in: by tag, by code, by typing. Whatever was read is kept on the phone first and sent then.
import { moment, said, t } from "./language.js";
import { checkIn, nameOf, state } from "./guard_state.js";
import { codeReader } from "./camera.js";
import { codeIn, hasNfc, listen } from "./scan.js";
import { draw, el, form, say } from "./shell.js";

const SAME_MS = 4_000; // a tag that is held there is read again and again
const TAG = /^(?:[0-9A-Fa-f][0-9A-Fa-f: .-]{4,40}[0-9A-Fa-f]|[0-9]{1,3},[0-9]{1,5})$/;

let nfc = null; // what stops it
let nfcSaid = "";
let last = { text: "", at: 0 };

function keep(how, text) {
  if (text === last.text && Date.now() - last.at < SAME_MS) return;
  last = { text, at: Date.now() };
  checkIn(how, text);
  say(t("kept_here"));
  draw();
  scrollTo(0, 0);
}

export function stopScanning() {
  nfc?.abort();
  reader.stop();
  nfc = null;
  nfcSaid = "";
}

async function beginNfc() {
  nfc?.abort();
  const mine = nfc = new AbortController();
  nfcSaid = t("nfc_hold");
  draw();
  try {
    await listen({ signal: mine.signal, found: (tag) => { nfcSaid = t("nfc_hold"); keep("nfc_phone", tag); }, failed: () => { nfcSaid = t("nfc_failed"); draw(); } });
  } catch {
    if (nfc === mine) { nfc = null; nfcSaid = t("nfc_none"); }
    draw();
  }
}

const reader = codeReader((text) => {
  const code = codeIn(text);
  if (!code) return t("qr_not_ours");
  keep("qr", code);
  return "";
});

function doneSection() {
  if (!state.done.length) return null;
  return el("section", { id: "done", class: "sheet done" }, el("ul", { class: "rows" }, state.done.slice(0, 5).map((one) => el("li", {},
    el("b", { class: "large" }, `✓ ${t("kept_here")} ${one.point ? nameOf(one.point) : one.written}`),
    el("span", {}, moment(one.at)),
    el("span", { class: one.sent ? "good" : "waits" }, t(!one.sent ? "kept_waits" : one.known === false ? "kept_unknown" : "kept_sent")),
    one.words.length ? el("span", { class: "aside" }, one.words.map(said).join(" · ")) : ""))));
}

function nfcSection() {
  if (!hasNfc()) return null;
  return el("section", { id: "nfc", class: "sheet" }, el("h2", {}, t("nfc_title")),
    nfc ? el("p", { class: "hold", role: "status" }, nfcSaid)
      : [nfcSaid ? el("p", { class: "problem" }, nfcSaid) : "", el("button", { id: "nfc-begin", type: "button", class: "main big", onclick: beginNfc }, t("nfc_begin"))]);
}

function typeSection() {
  return el("section", { id: "typing", class: "sheet" }, el("h2", {}, t("type_title")),
    form({ id: "type" }, [
      el("label", {}, t("type_label"), el("input", { name: "written", maxlength: "200", autocomplete: "off", autocapitalize: "none", spellcheck: "false", enterkeyhint: "done" })),
      el("p", { class: "aside" }, t("type_aside")),
      el("button", { class: "main" }, t("check_in_here")),
    ], ({ written }, made) => {
      const text = written.trim();
      if (!text) return t("type_empty");
      if (!codeIn(text) && !TAG.test(text)) return t("type_bad");
      made.reset();
      keep("typed", text);
      return "";
    }));
}

export function checkTab() {
  return [el("h1", { id: "check-title" }, t("tab_check")), doneSection(), nfcSection(), reader.section(), typeSection()];
}
