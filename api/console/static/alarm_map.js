// The place of one alarm on plain ground: the areas in which it lies, and where the nearest guards were seen last.
const L = globalThis.L;
const box = document.getElementById("around");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const words = (text) => document.createTextNode(text);
const spot = [Number(box.dataset.lat), Number(box.dataset.lon)];

const map = L.map(box, { attributionControl: false, zoomSnap: 0.25, minZoom: 3, maxZoom: 20, scrollWheelZoom: false, zoomAnimation: !still, fadeAnimation: !still });
L.control.scale({ imperial: false }).addTo(map);

const corners = [spot];
for (const one of JSON.parse(box.dataset.outlines)) {
  L.polygon(one.outline, { color: style("--faint"), weight: 2, dashArray: "4 4", fillOpacity: 0.03 }).addTo(map).bindTooltip(words(one.name), { sticky: true });
  if (corners.length === 1) corners.push(...one.outline);
}
for (const row of document.querySelectorAll("#seen-at [data-lat]")) {
  const at = [Number(row.dataset.lat), Number(row.dataset.lon)];
  L.circleMarker(at, { radius: 9, weight: 2, color: style("--on-main"), fillColor: style("--main"), fillOpacity: 1 }).addTo(map).bindTooltip(words(row.textContent.trim()));
  corners.push(at);
}
const picture = document.querySelector("#now-head svg.kind")?.cloneNode(true) ?? "";
const icon = L.divIcon({ className: `pin sent ${box.dataset.kind}`, html: picture, iconSize: [36, 36] });
L.marker(spot, { keyboard: false, alt: box.dataset.called, title: box.dataset.called, icon, zIndexOffset: 1000 }).addTo(map);
if (corners.length > 1) map.fitBounds(L.latLngBounds(corners).pad(0.1), { maxZoom: 17, animate: false });
else map.setView(spot, 16);
