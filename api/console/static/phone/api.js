// The station's interface as phone pages ask it: JSON, the session's cookie, and its token with what changes something.
import { has, t } from "./language.js";

const PREFIX = "/api/v1";

/** The station did not answer: no network, or too slow. What was asked may have been done all the same. */
export class Unreachable extends Error {}

let session = null;

async function once(method, path, { body, key, match, wait, prefix = PREFIX }) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), wait);
  const headers = { Accept: "application/json" };
  if (session?.csrf) headers["X-CSRF-Token"] = session.csrf;
  if (key) headers["Idempotency-Key"] = key;
  if (match) headers["If-Match"] = match;
  const file = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = file ? body.type || "application/octet-stream" : "application/json";
  try {
    const answer = await fetch(prefix + path, {
      method, headers, signal: stop.signal, cache: "no-store", credentials: "same-origin",
      body: body === undefined || file ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    let told = null;
    try { told = text ? JSON.parse(text) : null; } catch { /* a proxy's page */ }
    return { ok: answer.ok, status: answer.status, body: told, etag: answer.headers.get("ETag") };
  } catch {
    throw new Unreachable(path);
  } finally {
    clearTimeout(timer);
  }
}

/** One request; `{ ok, status, body, etag }`. Throws Unreachable. `body`: JSON, or a Blob. `wait`: milliseconds at most. */
export async function ask(method, path, { body, key, match, wait = 10_000 } = {}) {
  const unsafe = method !== "GET";
  if (unsafe && !session) await whoIsIt({ wait });
  const before = session?.csrf;
  const answer = await once(method, path, { body, key, match, wait });
  if (unsafe && answer.status === 403 && answer.body?.type === "cross_site") {
    await whoIsIt({ wait }); // signed in again in another page: the token is another one
    if (session?.csrf !== before) return once(method, path, { body, key, match, wait });
  }
  return answer;
}

export const get = (path, more) => ask("GET", path, more);

/** Who is signed in (`SessionAnswer`), asked now; null for nobody. Throws Unreachable. */
export async function whoIsIt({ wait = 8_000 } = {}) {
  const answer = await once("GET", "/phone/who", { wait, prefix: "" }); // nobody is an answer there, and no error
  if (!answer.ok) throw new Unreachable("/phone/who");
  if (!answer.body.without_role) session = answer.body.who; // else as it was told at signing in
  return session;
}

/** Whoever was found last. */
export const who = () => session;

/** Signs in; `{ ok, ... }` as `ask`. */
export async function signIn(login, password, code) {
  const answer = await once("POST", "/session", { body: { login, password, ...(code ? { code } : {}) }, wait: 15_000 });
  if (answer.ok) session = answer.body;
  return answer;
}

/** Signs out; true when the station has heard it. */
export async function signOut() {
  const answer = await ask("DELETE", "/session");
  if (answer.ok || answer.status === 401 || answer.body?.type === "may_not") session = null; // the last: without a role
  return session === null;
}

/** All pages of a list. `most`: so many items at most. */
export async function list(path, most = 400) {
  const found = [];
  let after = "";
  do {
    const answer = await get(path + (after && `${path.includes("?") ? "&" : "?"}after=${encodeURIComponent(after)}`));
    if (!answer.ok) return { ...answer, items: found };
    found.push(...answer.body.items);
    after = answer.body.next ?? "";
  } while (after && found.length < most);
  return { ok: true, status: 200, items: found };
}

/** What was wrong, in the reader's language. */
export function wrong(answer) {
  const type = answer.body?.type;
  if (type === "too_many_tries") return t(type, { n: Math.ceil(answer.body.wait_s ?? 60) });
  if (type === "not_known" || type === "wrong_secret") return t("wrong_secret");
  if (type === "no_such_alarm") return t("not_there");
  if (type && has(type)) return t(type);
  if (answer.status === 409 || answer.status === 412) return t("not_now");
  if (answer.status === 422) return t("bad_fields");
  if (answer.status === 404) return t("not_there");
  return t(answer.status >= 500 ? "station_cannot" : "refused");
}
