// Plots of figures that stand beside them as tables: whoever cannot see them, or prints, reads the tables.
const HEIGHT = 220;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The first series is filled, the second hatched by its outline alone: they differ without colour too. */
function looks(nth, sort) {
  const stroke = colour(nth === 0 ? "--main" : "--warn");
  if (sort === "lines") return { stroke, width: 3, dash: nth ? [8, 5] : undefined, points: { show: true, size: 8 } };
  return { stroke, width: 2, fill: nth === 0 ? stroke : colour("--warn-sheet"), points: { show: false } };
}

function draw(box) {
  const U = globalThis.uPlot;
  const { labels, series, unit } = JSON.parse(box.dataset.plot);
  const bars = box.dataset.sort === "bars";
  const grid = { stroke: colour("--line"), width: 1 };
  const font = `14px ${colour("--font")}`;
  const room = () => Math.max(240, box.clientWidth);
  const each = () => Math.max(1, Math.ceil((labels.length * (labels.some((one) => one.length > 3) ? 84 : 30)) / room()));
  const path = (nth) => bars && U.paths.bars({ size: [series.length > 1 ? 0.36 : 0.7, 64], align: series.length > 1 ? (nth ? 1 : -1) : 0 });
  const named = (at) => (Number.isInteger(at) && labels[at] !== undefined ? labels[at] : "");
  const short = (text) => (text.length > 8 ? `${text.slice(0, 7)}…` : text);
  const options = {
    width: room(),
    height: HEIGHT,
    legend: { show: true, live: true },
    cursor: { drag: { x: false, y: false }, points: { show: !bars } },
    scales: { x: { time: false, range: [-0.6, labels.length - 0.4] }, y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.1)] } },
    axes: [
      { stroke: colour("--ink"), grid: { show: false }, ticks: grid, font, splits: () => labels.map((_, i) => i), values: (_, at) => at.map((one) => (one % each() ? "" : short(named(one)))) },
      { stroke: colour("--ink"), grid, ticks: grid, font, size: 64, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000], values: (_, at) => at.map((one) => `${one}${unit && ` ${unit}`}`) },
    ],
    series: [
      { label: " ", value: (_, at) => (at === null ? "" : named(at)) },
      ...series.map((one, nth) => ({ label: one.label, paths: path(nth) || undefined, spanGaps: false, value: (_, v) => (v === null ? "—" : `${v}${unit && ` ${unit}`}`), ...looks(nth, box.dataset.sort) })),
    ],
  };
  box.replaceChildren();
  return new U(options, [labels.map((_, i) => i), ...series.map((one) => one.values)], box);
}

function all() {
  for (const box of document.querySelectorAll("[data-plot]")) {
    const old = box.plot;
    if (old) old.destroy();
    box.plot = draw(box);
  }
}

all();
let later = null;
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(later);
  later = setTimeout(all, 200);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
