// Push to this phone: an extra that nobody relies on. The page says to the station each time it is opened that it is still
// pushed to; a browser in which somebody else has signed in meanwhile is let go.
import { ask, get, who } from "./api.js";
import { language, learn, t } from "./language.js";
import { beforeLeaving, button, draw, el, say, toTrust } from "./shell.js";
import { WORDS } from "./push_words.js";

learn(WORDS);

const OWNER = "shouwang-push";
let offer = null; // what the station says of itself
let mine = null; // the browser's subscription
let asked = false;
const WAIT_MS = 10_000;

const remembered = () => { try { return localStorage.getItem(OWNER); } catch { return null; } };
const remember = (account) => { try { account ? localStorage.setItem(OWNER, account) : localStorage.removeItem(OWNER); } catch { /* it is asked again */ } };

/** "insecure", "unsupported", "unknown" (not asked yet), "unoffered", "blocked", "on" or "off". */
export function state() {
  if (!window.isSecureContext) return "insecure";
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) return "unsupported";
  if (!offer) return "unknown";
  if (!offer.offered) return "unoffered";
  if (Notification.permission === "denied") return "blocked";
  return mine && remembered() === who()?.account ? "on" : "off";
}

const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

const sameKey = (kept) => {
  const had = kept.options?.applicationServerKey;
  return !had || new Uint8Array(had).join() === octets(offer.key).join();
};

async function tell(page) {
  const { endpoint, keys } = mine.toJSON();
  return ask("PUT", "/push/device", { body: { endpoint, p256dh: keys.p256dh, auth: keys.auth, language, page } });
}

async function letGo() {
  const kept = mine;
  mine = null;
  remember(null);
  await kept?.unsubscribe().catch(() => {});
}

const worked = () => Promise.race([navigator.serviceWorker.ready, new Promise((_, fail) => setTimeout(() => fail(new Error("no worker")), WAIT_MS))]);

async function begin(page) {
  const answer = await get("/push");
  if (!answer.ok) return;
  offer = answer.body;
  const worker = await worked();
  mine = await worker.pushManager.getSubscription();
  if (!mine) return;
  if (!offer.offered || remembered() !== who()?.account || !sameKey(mine)) return letGo();
  if ([403, 422].includes((await tell(page)).status)) await letGo();
}

async function turnOn(page) {
  if ((await Notification.requestPermission()) !== "granted") return draw();
  try {
    const worker = await worked();
    mine = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: octets(offer.key) });
  } catch { // the browser's push service is not reached, or there is none
    say(t("push_no_service"));
    return draw();
  }
  const answer = await tell(page);
  if (!answer.ok) {
    await letGo();
    say(t(answer.body?.type === "not_subscribed" ? "push_not_taken" : "refused"));
    return draw();
  }
  remember(who().account);
  await ask("POST", "/push/test");
  draw();
}

/** Once after the page was opened: asks the station and the browser, and says again that this phone is pushed to. */
export function renew(page) {
  if (asked || !who()?.grants.length || ["insecure", "unsupported"].includes(state())) return;
  asked = true;
  begin(page).then(draw, () => { asked = false; });
}

async function turnOff() {
  if (!mine) return;
  const { endpoint } = mine;
  await letGo();
  await ask("POST", "/push/device/end", { body: { endpoint } }).catch(() => {}); // it ends by itself when it is sent to
  draw();
}

/** The part of a page that says how it is, and turns it on or off. `page`: household, guard or field. */
export function pushSheet(page) {
  if (!who()) return null;
  const now = state();
  if (now === "unknown" || now === "unoffered") return null;
  return el("section", { id: "push", class: "sheet" }, el("h2", {}, t("push")), el("p", {}, t(`push_${now}`)), now === "insecure" ? toTrust() : null,
    now === "off" ? button(t("push_turn_on"), () => turnOn(page), { id: "push-on" }) : null,
    now === "on" ? el("div", { class: "choices two" }, button(t("push_try"), async () => say(t((await ask("POST", "/push/test")).ok ? "push_tried" : "refused")), { id: "push-try" }), button(t("push_turn_off"), turnOff, { id: "push-off" })) : null,
    el("p", { class: "aside" }, t(`push_extra_${page}`)));
}

beforeLeaving.push(turnOff);
