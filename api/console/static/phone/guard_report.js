// Hazards and incidents with a photo: kept on the phone, the words first, the photo under the number that they are given.
import { language, moment, said, t } from "./language.js";
import { NotAPhoto, size, small, TooLarge } from "./photo.js";
import { state } from "./guard_state.js";
import { draw, el, form, queue, read, say } from "./shell.js";

let matters = null;
let photo = null; // { blob, shown }
let photoSaid = "";

export async function loadMatters() {
  matters = (await read("/matters?limit=20"))?.items ?? matters;
}

async function choose({ target }) {
  const [file] = target.files;
  target.value = "";
  if (!file) return;
  forget();
  try {
    const blob = await small(file);
    photo = { blob, shown: URL.createObjectURL(blob) };
  } catch (why) {
    if (why instanceof TooLarge) photoSaid = t("report_too_large", { size: size(why.bytes) });
    else if (why instanceof NotAPhoto) photoSaid = t("report_not_a_photo");
    else throw why;
  }
  draw();
}

function forget() {
  if (photo) URL.revokeObjectURL(photo.shown);
  photo = null;
  photoSaid = "";
}

/** The station has something of ours. */
export function reportAnswered(item, answer) {
  if (item.about === "report") {
    say(t("report_sent", { n: answer.body.number }));
    if (item.more.photo) queue.add({ path: `/matters/${answer.body.number}/photos`, body: item.more.photo, about: "photo", more: { number: answer.body.number } });
  } else if (item.about === "photo") {
    say(t("report_photo_sent"));
  }
}

function where() {
  const groups = state.own?.groups ?? [];
  const last = state.own?.last?.point;
  const points = new Map((state.own?.rounds ?? []).flatMap((one) => one.visits.map(({ point }) => [point.id, point])));
  const chosen = last?.group ?? groups[0]?.id;
  return [
    el("label", {}, t("report_where"), el("select", { name: "group" }, groups.map((one) => el("option", { value: one.id, selected: one.id === chosen }, one.name)))),
    points.size ? el("label", {}, t("report_where_point"), el("select", { name: "point" }, el("option", { value: "" }, t("not_said")),
      [...points.values()].map((one) => el("option", { value: one.name, selected: one.id === last?.id }, one.name)))) : "",
  ];
}

function photoPart() {
  return el("div", { class: "choices" },
    photo ? [el("img", { src: photo.shown, alt: t("report_photo") }), el("p", { class: "good" }, t("report_photo_ready", { size: size(photo.blob.size) })),
      el("button", { type: "button", onclick: () => { forget(); draw(); } }, t("report_photo_drop"))]
      : el("label", { class: "button" }, t("report_photo"), el("input", { id: "photo", type: "file", accept: "image/*", capture: "environment", class: "unseen", onchange: choose })),
    photoSaid ? el("p", { class: "problem", role: "alert" }, photoSaid) : "",
    el("p", { class: "aside" }, t("report_photo_aside")));
}

function send({ kind, group, point, words }, made) {
  const text = words.trim();
  if (!text) return t("report_words_needed");
  const body = { kind, group, words: point ? `${text}\n${t("report_where_point")}: ${point}` : text };
  queue.add({ path: "/matters", body, about: "report", more: { words: text.slice(0, 20), photo: photo?.blob ?? null } });
  forget();
  made.reset();
  say(t("report_kept"));
  draw();
  return "";
}

function mine() {
  if (matters === null) return null;
  return el("section", { id: "matters", class: "sheet" }, el("h2", {}, t("report_mine")),
    matters.length ? el("ul", { class: "rows" }, matters.map((one) => el("li", {},
      el("span", { class: "what" }, `${one.number} · ${said(one.kind_words)}`), el("span", { class: "mark" }, t(`state_${one.state}`)),
      el("span", { class: "pre wide" }, one.words), el("span", { class: "aside" }, moment(one.reported))))) : el("p", { class: "empty" }, t("report_none")));
}

export function reportTab() {
  const groups = state.own?.groups ?? [];
  return [
    el("h1", { id: "report-title" }, t("report_title")),
    el("p", { id: "report-danger", class: "warning" }, el("a", { href: "tel:110" }, t("report_danger"))),
    groups.length ? form({ id: "report", class: "sheet", lang: language === "zh" ? "zh-Hans" : "en" }, [
      el("fieldset", { class: "choices two" }, ["hazard", "incident"].map((one, place) =>
        el("label", { class: "pick" }, el("input", { type: "radio", name: "kind", value: one, checked: place === 0 }), t(`report_${one}`)))),
      where(),
      el("label", {}, t("report_words"), el("textarea", { name: "words", rows: "3", maxlength: "1800", placeholder: t("report_words_example") })),
      photoPart(),
      el("button", { class: "main" }, t("report_send")),
    ], send) : el("p", { id: "report-nowhere", class: "sheet" }, t("report_no_group")),
    mine(),
  ];
}
