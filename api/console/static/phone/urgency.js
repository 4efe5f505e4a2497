// In which order alarms are looked at, and the officers' own idiom: as api/console/rules.py, which a test holds it to.
export const URGENT = ["duress", "fire", "panic", "intrusion", "medical", "unverified", "help"];
export const SENT = ["received", "cancelled_by_household"];
export const SEEN = ["acknowledged", "verified", "dispatched", "on_the_way", "on_scene"];

/** Red sent, green seen, grey reported back. */
export const light = (state) => (SENT.includes(state) ? "sent" : SEEN.includes(state) ? "seen" : "back");

function key(one) {
  const place = URGENT.indexOf(one.kind);
  return [one.mark ? 1 : 0, light(one.state) === "sent" ? 0 : 1, place < 0 ? URGENT.length : place, one.received];
}

/** Nobody's first, by kind, then by age; drills and tests last. */
export function inOrder(alarms) {
  const keyed = alarms.map((one) => [key(one), one]);
  keyed.sort(([a], [b]) => {
    const differs = a.findIndex((part, at) => part !== b[at]);
    return differs < 0 ? 0 : a[differs] < b[differs] ? -1 : 1;
  });
  return keyed.map(([, one]) => one);
}
