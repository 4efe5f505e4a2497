// Checking in: by tag, by code, by typing. Whatever was read is kept on the phone first and sent then.
import { moment, said, t } from "./language.js";
import { checkIn, nameOf, state } from "./guard_state.js";
import { codeIn, hasCamera, hasNfc, hasReader, inPicture, listen, readsCodes, watch } from "./scan.js";
import { draw, el, form, say } from "./shell.js";

const SAME_MS = 4_000; // a tag that is held there is read again and again
const TAG = /^(?:[0-9A-Fa-f][0-9A-Fa-f: .-]{4,40}[0-9A-Fa-f]|[0-9]{1,3},[0-9]{1,5})$/;

let codes = hasReader(); // known better in a moment
readsCodes().then((can) => { codes = can; draw(); });
let nfc = null; // what stops it
let nfcSaid = "";
let camera = null;
let qrSaid = "";
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
  camera?.abort();
  nfc = camera = null;
  nfcSaid = qrSaid = "";
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

function scanned(text) {
  const code = codeIn(text);
  if (code) keep("qr", code);
  else qrSaid = t("qr_not_ours");
}

async function beginCamera() {
  camera?.abort();
  const mine = camera = new AbortController();
  qrSaid = "";
  draw();
  try {
    await watch({ video: document.getElementById("camera"), signal: mine.signal, found: scanned });
  } catch {
    qrSaid = t("qr_no_camera");
  }
  if (camera === mine) camera = null;
  mine.abort();
  draw();
}

async function fromPicture({ target }) {
  const [file] = target.files;
  target.value = "";
  if (!file) return;
  qrSaid = "";
  try {
    const text = await inPicture(file);
    if (text) scanned(text);
    else qrSaid = t("qr_not_in_picture");
  } catch {
    qrSaid = t("qr_not_in_picture");
  }
  draw();
}

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

function qrSection() {
  return el("section", { id: "qr", class: "sheet" }, el("h2", {}, t("qr_title")),
    qrSaid ? el("p", { class: "problem", role: "alert" }, qrSaid) : "",
    camera ? [el("video", { id: "camera", playsinline: true, muted: true }), el("button", { type: "button", onclick: () => { stopScanning(); draw(); } }, t("qr_stop"))] : "",
    !camera && codes && hasCamera() ? el("button", { id: "qr-begin", type: "button", class: "main big", onclick: beginCamera }, t("qr_begin")) : "",
    !camera && codes ? el("label", { class: "button" }, t("qr_picture"), el("input", { id: "qr-picture", type: "file", accept: "image/*", capture: "environment", class: "unseen", onchange: fromPicture })) : "",
    codes ? "" : el("p", {}, t("qr_none")));
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
  return [el("h1", { id: "check-title" }, t("tab_check")), doneSection(), nfcSection(), qrSection(), typeSection()];
}
