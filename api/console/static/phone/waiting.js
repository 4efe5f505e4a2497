// What is not sent yet, as pages of people at work list it: each thing with the phone's time, and what the station refused.
import { wrong } from "./api.js";
import { exact } from "./guard_state.js";
import { t } from "./language.js";
import { el, queue } from "./shell.js";

/** `what(item)`: what it is, in words; `why(answer)`: why it was refused; `more`: what stands below the list. */
export function waitingSection({ what, why = wrong, more = [] }) {
  const left = queue.list();
  return el("section", { id: "queue", class: `sheet ${left.length ? "waiting" : ""}` },
    el("h2", {}, left.length ? t("not_uploaded", { n: left.length }) : t("all_uploaded")),
    left.length ? el("ul", { class: "rows" }, left.map((item) => el("li", {},
      el("span", {}, what(item)),
      el("span", { class: "aside" }, t("phone_time", { at: exact(new Date(item.made).toISOString()) })),
      item.state === "refused" ? [el("span", { class: "problem" }, t("refused_item", { why: why(item.answer) })), el("button", { type: "button", onclick: () => queue.drop(item.id) }, t("close"))]
        : item.state === "late" ? el("button", { type: "button", onclick: () => queue.again(item.id) }, t("send_now"))
          : item.state === "signed_out" ? el("span", { class: "warning" }, t("waits_sign_in")) : ""))) : "",
    more, queue.kept ? "" : el("p", { class: "warning" }, t("keep_failed")));
}
