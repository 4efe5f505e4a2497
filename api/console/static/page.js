// What every page does: ages that grow, and what was said to whoever cannot see it change.
const shown = { zh: ["秒", "分", "时"], en: ["s", "min", "h"] };
const words = shown[document.documentElement.lang.slice(0, 2)] ?? shown.zh;

/** Seconds as people read them: 45 s, 3 min 20 s, 2 h 5 min. */
export function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} ${words[0]}`;
  if (whole < 3600) return `${Math.floor(whole / 60)} ${words[1]} ${whole % 60} ${words[0]}`;
  return `${Math.floor(whole / 3600)} ${words[2]} ${Math.floor((whole % 3600) / 60)} ${words[1]}`;
}

export function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}

function growOlder() {
  const now = Date.now();
  for (const time of document.querySelectorAll("time.age")) {
    const text = age((now - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

/** On a phone a row of a table is a card: what its head says stands before each value. */
function label() {
  for (const table of document.querySelectorAll(".wide table")) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    for (const row of table.tBodies[0]?.rows ?? []) {
      for (const cell of row.cells) {
        const said = cell.childElementCount > 0 || cell.textContent.trim() !== "";
        if (said && cell.cellIndex > 0 && cell.colSpan === 1 && heads[cell.cellIndex]) cell.dataset.label = heads[cell.cellIndex];
      }
    }
  }
}

for (const one of document.querySelectorAll(".head nav [aria-current], .ways [aria-current]")) {
  one.parentElement.scrollLeft = one.offsetLeft - (one.parentElement.clientWidth - one.offsetWidth) / 2;
}
label();
document.addEventListener("fresh", label);
document.addEventListener("htmx:after:swap", label);
growOlder();
document.addEventListener("fresh", growOlder); // said by whoever put something new on the page
setInterval(growOlder, 1000);
