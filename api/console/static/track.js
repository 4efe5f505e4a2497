// A guard's track on a plain plane: checkpoints as points, his way as a line, a slider for the time.
const box = document.getElementById("replay");
const steps = JSON.parse(box.dataset.steps);
const slider = document.getElementById("moment");
const when = document.getElementById("when");
const play = document.getElementById("play");
const rows = [...document.querySelectorAll("li[data-at]")];
const STEP_MS = 700;

/** Where nothing is known of positions, points stand on a ring, in the order in which he came to them first. */
function places() {
  const known = steps.filter((step) => step.spot);
  if (known.length === steps.length) return { real: true, spot: (step) => step.spot };
  const names = [...new Set(steps.map((step) => step.name))];
  const ring = new Map(
    names.map((name, i) => {
      const turn = Math.PI / 2 - (2 * Math.PI * i) / Math.max(names.length, 1);
      return [name, names.length === 1 ? [0, 0] : [100 * Math.sin(turn), 160 * Math.cos(turn)]];
    }),
  );
  return { real: false, spot: (step) => ring.get(step.name) };
}

function styleOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function start() {
  const L = globalThis.L;
  box.hidden = false;
  const { real, spot } = places();
  document.getElementById("plan-says").textContent = real ? box.dataset.positions : box.dataset.schema;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = L.map("plane", {
    crs: real ? L.CRS.EPSG3857 : L.CRS.Simple,
    attributionControl: false,
    zoomSnap: 0.25,
    minZoom: -4,
    zoomAnimation: !still,
    fadeAnimation: !still,
  });
  if (real) L.control.scale({ imperial: false }).addTo(map);
  const seen = new Map(steps.map((step) => [String(spot(step)), step]));
  for (const step of seen.values()) {
    L.circleMarker(spot(step), { radius: 8, color: styleOf("--faint"), fillColor: styleOf("--sheet"), fillOpacity: 1, weight: 2 })
      .bindTooltip(document.createTextNode(step.name), { permanent: true, direction: "top", offset: [0, -8] })
      .addTo(map);
  }
  const way = L.polyline([], { color: styleOf("--main"), weight: 4 }).addTo(map);
  const here = L.circleMarker(spot(steps[0]), { radius: 11, color: styleOf("--on-main"), weight: 2, fillColor: styleOf("--main"), fillOpacity: 1 }).addTo(map);
  map.fitBounds(L.latLngBounds(steps.map(spot)).pad(0.35), { maxZoom: real ? 18 : 2, animate: false });

  function show(nth) {
    const step = steps[nth];
    const shift = steps.filter((one, i) => i <= nth && one.shift === step.shift);
    way.setLatLngs(shift.map(spot));
    here.setLatLng(spot(step)).bringToFront();
    rows.forEach((row, i) => row.classList.toggle("here", i === nth));
    when.textContent = `${rows[nth].querySelector(".num").textContent} ${step.name}`;
    slider.setAttribute("aria-valuetext", when.textContent);
  }

  slider.max = String(steps.length - 1);
  slider.addEventListener("input", () => show(Number(slider.value)));
  let timer = null;
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = play.dataset.play;
  }
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = "0";
    show(Number(slider.value));
    play.textContent = play.dataset.pause;
    timer = setInterval(() => {
      if (slider.value === slider.max) return stop();
      slider.value = String(Number(slider.value) + 1);
      show(Number(slider.value));
    }, STEP_MS);
  });
  show(0);
}

if (steps.length) start();
