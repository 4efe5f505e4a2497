// In which language this phone reads, and what is said in it.
import { WORDS } from "./words.js";

const COOKIE = "shouwang_language";
const all = { ...WORDS };

function chosen() {
  const kept = document.cookie.split("; ").find((one) => one.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  if (kept === "zh" || kept === "en") return kept;
  return navigator.language.toLowerCase().startsWith("en") ? "en" : "zh";
}

/** "zh" or "en". */
export let language = chosen();

/** Adds the words of one part: `{ key: ["中文", "English"] }`. */
export function learn(words) {
  for (const key of Object.keys(words)) {
    if (key in all) throw new Error(`two words ${key}`);
    all[key] = words[key];
  }
}

const counts = new Intl.PluralRules("en");

/** A word in the reader's language, with `{name}` filled in; `{name|one|many}` is "one" where English counts one. */
export function t(key, values = {}) {
  const pair = all[key];
  if (!pair) throw new Error(`no word ${key}`);
  const counted = (_, name, one, many) => (counts.select(Number(values[name])) === "one" ? one : many);
  return pair[language === "zh" ? 0 : 1].replace(/\{(\w+)\|([^|}]*)\|([^|}]*)\}/g, counted).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** Whether there is such a word. */
export const has = (key) => key in all;

/** What the interface says in both languages. */
export const said = (words) => (words ? words[language] : "");

export function speak(which) {
  language = which;
  document.cookie = `${COOKIE}=${which}; path=/; max-age=31536000; samesite=lax`;
  document.documentElement.lang = which === "zh" ? "zh-Hans" : "en";
  const manifest = document.querySelector("link[rel=manifest]"); // what is installed is called as it is read
  if (manifest) manifest.setAttribute("href", manifest.getAttribute("href").replace(/\.\w+\.webmanifest$/, `.${which}.webmanifest`));
}

/** A time of day, with the day when it is not today. */
export function moment(text) {
  if (!text) return "";
  const when = new Date(text);
  const today = when.toDateString() === new Date().toDateString();
  const day = today ? {} : { month: "numeric", day: "numeric" };
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", { ...day, hour: "2-digit", minute: "2-digit", hour12: false }).format(when);
}

/** How long ago, coarsely. */
export function ago(text) {
  const minutes = Math.floor((Date.now() - Date.parse(text)) / 60_000);
  if (minutes < 1) return t("just_now");
  return minutes < 60 ? t("minutes_ago", { n: minutes }) : minutes < 1440 ? t("hours_ago", { n: Math.floor(minutes / 60) }) : moment(text);
}

speak(language);
