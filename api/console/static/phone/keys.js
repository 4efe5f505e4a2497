// Keys for hands that shake, are wet or wear gloves, and for a finger that stays down: a browser takes a press that slips
// for scrolling, and one that lasts for a menu, and neither is a click then. What is a `.key` is pressed when the finger leaves
// it near where it came, or (`data-at-once`) has been on it for HELD_MS. Whoever presses by keyboard or by a screen
// reader makes a click, as ever.
const SLIP_PX = 48;
const HELD_MS = 600;
const CLICK_MS = 80; // within which a browser makes a click by itself, if it does
const DOUBLE_MS = 700;

let down = null;
let deaf = 0; // until when nothing is pressed

/** For `ms` nothing on this page is pressed: the second half of a double tap was meant for what stood there before. */
export function settle(ms = DOUBLE_MS) {
  deaf = Math.max(deaf, performance.now() + ms);
}

const now = (key) => (key.isConnected ? key : key.id && document.getElementById(key.id)); // drawn anew meanwhile

function forget() {
  clearTimeout(down?.timer);
  down = null;
}

function hold(mine) {
  mine.held = true;
  now(mine.key)?.click();
  deaf = Infinity; // until the finger leaves: a click may follow then, on what stands there now
}

addEventListener("pointerdown", (event) => {
  forget();
  const key = event.target.closest?.(".key");
  if (!key || event.button !== 0 || performance.now() < deaf) return;
  const mine = down = { key, id: event.pointerId, x: event.clientX, y: event.clientY };
  if ("atOnce" in key.dataset) mine.timer = setTimeout(() => hold(mine), HELD_MS);
});

function up(event) {
  const mine = down;
  if (mine?.id !== event.pointerId) return;
  forget();
  if (mine.held) {
    deaf = 0;
    settle();
    return;
  }
  const box = now(mine.key)?.getBoundingClientRect();
  if (event.type === "pointercancel" || !box) return;
  if (Math.hypot(event.clientX - mine.x, event.clientY - mine.y) > Math.max(SLIP_PX, box.height / 3)) return;
  let clicked = false;
  const heard = () => { clicked = true; };
  addEventListener("click", heard, { capture: true, once: true });
  setTimeout(() => {
    removeEventListener("click", heard, true);
    const there = now(mine.key);
    if (!clicked && there && !there.disabled) there.click();
  }, CLICK_MS);
}

addEventListener("pointerup", up);
addEventListener("pointercancel", up);
addEventListener("contextmenu", (event) => event.target.closest?.(".key") && event.preventDefault());
addEventListener("click", (event) => {
  if (performance.now() >= deaf) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
