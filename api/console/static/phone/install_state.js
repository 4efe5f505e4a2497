// What an installer's phone knows: what is not handed over, where something may hang, what it heard and keeps to be sent.
import { list, who } from "./api.js";
import { remembered } from "./queue.js";
import { queue, read } from "./shell.js";

const KEPT = "shouwang-install";
const PLACES_MS = 600_000;
const LABEL = /\/register\/devices\/([a-z0-9-]{1,32})$/;
const NUMBER = /^[a-z0-9-]{1,32}$/;

export const state = {
  items: null, places: [], placesAt: 0, at: 0, windows: [], faults: [],
  heard: {}, // by unit and place: whether its siren chirped, as somebody beside it heard
  units: new Map(), // by id, as the register says; null: it has none of that number, or nobody here may see it
  over: new Set(), // handed over since the page was opened
};

export const account = () => who()?.account ?? remembered();

/** Which device a label's code or typed number means; null: none. */
export function unitIn(text) {
  const plain = String(text ?? "").trim().toLowerCase();
  if (NUMBER.test(plain)) return plain;
  try {
    return LABEL.exec(new URL(plain).pathname)?.[1] ?? null;
  } catch {
    return null;
  }
}

/** What was kept when there was a network: addresses and devices, and nobody's name. */
export function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    if (!kept || kept.account !== account()) return localStorage.removeItem(KEPT);
    const { items, places, placesAt, at, heard } = kept;
    Object.assign(state, { items, places, placesAt, at, heard });
  } catch { /* nothing is kept here */ }
  return undefined;
}

function keep() {
  const { items, places, placesAt, at, heard } = state;
  try {
    localStorage.setItem(KEPT, JSON.stringify({ account: account(), items, places, placesAt, at, heard }));
  } catch { /* nothing is kept here, or there is no room */ }
}

async function loadPlaces() {
  if (Date.now() - state.placesAt < PLACES_MS) return;
  const found = await list("/register/places?limit=200", 5000);
  if (!found.ok) return;
  state.places = found.items.map(({ id, door, address, label }) => ({ id, door, name: address || label }));
  state.placesAt = Date.now();
}

/** `unit`: the one that is looked at, which may not hang yet. */
export async function load(unit) {
  const [left, windows, faults] = await Promise.all([list("/installations?limit=200", 2000), read("/installations/windows"), unit ? read("/faults?limit=200") : null, loadPlaces()]);
  if (left.ok) {
    state.items = left.items;
    state.at = Date.now();
    for (const one of left.items) if ((one.siren ?? null) !== null && !pending(one.unit, "siren")) state.heard[`${one.unit} ${one.place}`] = one.siren; // another phone may have said it
  }
  state.windows = windows ?? [];
  state.faults = faults?.items ?? [];
  if (unit) state.units.set(unit, await read(`/register/units/${encodeURIComponent(unit)}`));
  keep();
}

/** Somebody beside the siren says whether it chirped. It is kept and sent like everything; the last that was heard counts. */
export function hear(item, yes) {
  if (heard(item) === yes && (item.siren ?? null) === yes) return;
  state.heard[`${item.unit} ${item.place}`] = yes;
  keep();
  const before = pending(item.unit, "siren");
  if (before) queue.drop(before.id);
  const now = new Date().toISOString();
  queue.add({ path: `/installations/${encodeURIComponent(item.unit)}/siren`, body: { place: item.place, heard: yes, at: now, now }, about: "siren", more: { unit: item.unit, place: item.place } });
}

export const heard = (item) => state.heard[`${item.unit} ${item.place}`] ?? null;

/** What waits on this phone about a device; `refused` waits for nothing. */
export const pending = (unit, about) => queue.list(about).find((one) => one.more?.unit === unit && one.state !== "refused") ?? null;

/** A device that hangs and is not handed over, also one whose place is not sent yet; null: it does not hang. */
export function hanging(unit) {
  const known = state.items?.find((one) => one.unit === unit);
  if (known) return known;
  const waits = pending(unit, "install");
  return waits && { unit, place: waits.more.place, address: waits.more.name, chirps: 0, chirped: null, read_back: null, left: null, gateway: null, unsent: true };
}

/** The window within which this one may be pressed now; null: a press would be real. */
export const windowOf = (item) => state.windows.find((one) =>
  one.open && one.gateway === item.gateway && (one.place === null || one.place === item.place) && Date.parse(one.ends) > Date.now()) ?? null;

/** As the station compares addresses: whatever the spaces and capitals. */
export const sameAddress = (one, other) => one.replace(/\s+/gu, "").toLowerCase() === other.replace(/\s+/gu, "").toLowerCase();

/** Whether what was refused was done all the same, by a sending whose answer was lost. Throws Unreachable. */
export async function doneAlready({ about, more }) {
  if (about !== "install" && about !== "hand_over") return false;
  const now = await read(`/register/units/${encodeURIComponent(more.unit)}`);
  return now !== null && now.place === more.place && now.handed === (about === "hand_over");
}
