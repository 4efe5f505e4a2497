// The part of a page that reads codes: by the camera, from a photo; where the browser reads none, it says so.
import { learn, t } from "./language.js";
import { hasCamera, hasReader, inPicture, readsCodes, watch } from "./scan.js";
import { WORDS } from "./scan_words.js";
import { draw, el } from "./shell.js";

learn(WORDS);

let codes = hasReader(); // known better in a moment
readsCodes().then((can) => { codes = can; draw(); });

/** `taken(text)`: does what has to be done with a code, or answers in words why it is none of ours. */
export function codeReader(taken) {
  let camera = null; // what stops it
  let told = "";

  const scanned = (text) => { told = taken(text) ?? ""; };

  function stop() {
    camera?.abort();
    camera = null;
    told = "";
  }

  async function begin() {
    camera?.abort();
    const mine = camera = new AbortController();
    told = "";
    draw();
    try {
      await watch({ video: document.getElementById("camera"), signal: mine.signal, found: scanned });
    } catch {
      told = t("qr_no_camera");
    }
    if (camera === mine) camera = null;
    mine.abort();
    draw();
  }

  async function fromPicture({ target }) {
    const [file] = target.files;
    target.value = "";
    if (!file) return;
    told = "";
    try {
      const text = await inPicture(file);
      if (text) scanned(text);
      else told = t("qr_not_in_picture");
    } catch {
      told = t("qr_not_in_picture");
    }
    draw();
  }

  const section = () => el("section", { id: "qr", class: "sheet" }, el("h2", {}, t("qr_title")),
    told ? el("p", { class: "problem", role: "alert" }, told) : "",
    camera ? [el("video", { id: "camera", playsinline: true, muted: true }), el("button", { type: "button", onclick: () => { stop(); draw(); } }, t("qr_stop"))] : "",
    !camera && codes && hasCamera() ? el("button", { id: "qr-begin", type: "button", class: "main big", onclick: begin }, t("qr_begin")) : "",
    !camera && codes ? el("label", { class: "button" }, t("qr_picture"), el("input", { id: "qr-picture", type: "file", accept: "image/*", capture: "environment", class: "unseen", onchange: fromPicture })) : "",
    codes ? "" : el("p", {}, t("qr_none")));

  return { section, stop };
}
