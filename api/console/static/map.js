// The plan is drawn from the list beside it, so that both say the same.
import { live } from "./live.js";

const L = globalThis.L;
const box = document.getElementById("plan");
const part = document.getElementById("now");
const outlines = JSON.parse(box.dataset.outlines);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = { red: "#d62027", orange: "#e8730c", yellow: "#f2c200", blue: "#1769c2" };
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const words = (text) => document.createTextNode(text);

const map = L.map(box, { attributionControl: false, zoomSnap: 0.25, minZoom: 3, maxZoom: 20, zoomAnimation: !still, fadeAnimation: !still });
L.control.scale({ imperial: false }).addTo(map);

const listed = [...part.querySelectorAll("[data-lat]")].map((row) => [Number(row.dataset.lat), Number(row.dataset.lon)]);
const all = [...outlines.flatMap((one) => one.outline), ...listed];
if (all.length) map.fitBounds(L.latLngBounds(all).pad(0.05), { maxZoom: 17, animate: false });
else {
  map.setView([35, 105], 4);
  box.hidden = true;
  document.getElementById("nowhere").hidden = false;
}

map.createPane("names").style.zIndex = 350; // under what is drawn: a name hides no alarm
for (const one of outlines) {
  const group = one.meaning === "group";
  const shape = L.polygon(one.outline, {
    color: COLOURS[one.colour] ?? style("--faint"),
    weight: one.colour ? 4 : 2,
    dashArray: group ? "4 4" : null,
    fillOpacity: one.colour ? 0.08 : 0.03,
    interactive: group,
  }).addTo(map);
  shape.bindTooltip(words(one.said ? `${one.name} · ${one.said}` : one.name), { sticky: group, permanent: !group, direction: group ? "auto" : "bottom", pane: group ? "tooltipPane" : "names" });
  if (group) continue;
  shape.bringToBack();
  const around = shape.getBounds();
  shape.openTooltip([around.getNorth(), around.getCenter().lng]); // below its own edge: areas in one another have one middle
}

const things = L.layerGroup().addTo(map);
let marks = new Map();

function markOf(row, at) {
  const called = row.querySelector(".called").textContent.trim();
  const options = { keyboard: false, alt: called, title: called };
  if (row.dataset.sort !== "alarm") {
    const looks = {
      point: { radius: 5, color: style("--main"), fillColor: style("--sheet") },
      round: { radius: 9, color: style("--on-main"), fillColor: style("--main") },
      gateway: { radius: 8, color: style("--ink"), fillColor: style("--seen") },
      "gateway-lost": { radius: 8, color: style("--ink"), fillColor: style("--sent"), dashArray: "3 3" },
    }[row.dataset.sort];
    return L.circleMarker(at, { weight: 2, fillOpacity: 1, ...looks }).bindTooltip(words(called));
  }
  const tone = ["sent", "seen", "back"].find((one) => row.classList.contains(one)) ?? "back";
  const picture = row.querySelector("svg").cloneNode(true);
  const icon = L.divIcon({ className: `pin ${tone} ${row.dataset.kind}`, html: picture, iconSize: [36, 36] });
  const mark = L.marker(at, { ...options, icon, zIndexOffset: tone === "sent" ? 1000 : 0 }).bindTooltip(words(called));
  mark.on("click", () => row.querySelector("a")?.focus());
  return mark;
}

function draw() {
  things.clearLayers();
  marks = new Map();
  for (const row of part.querySelectorAll("[data-lat]")) {
    const at = [Number(row.dataset.lat), Number(row.dataset.lon)];
    const mark = markOf(row, at).addTo(things);
    marks.set(row.querySelector(".show").id, { mark, at });
  }
}

part.addEventListener("click", (event) => {
  const found = marks.get(event.target.closest(".show")?.id);
  if (!found) return;
  map.setView(found.at, Math.max(map.getZoom(), 17), { animate: !still });
  found.mark.openTooltip();
  box.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
});

draw();
live(part, "/map/now", draw);
