// A wall that nobody touches: asks anew for ever, keeps the screen awake, and shows the time.
import { live } from "./live.js";

const now = document.getElementById("now");
const clock = document.getElementById("clock");

live(now, "/wall/now");

function tick() {
  clock.textContent = new Date().toLocaleTimeString("zh-CN", { hour12: false, timeZone: clock.dataset.zone });
}
tick();
setInterval(tick, 1000);

async function stayAwake() {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // without HTTPS a browser does not; the machine's own settings do
  }
}
stayAwake();
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && stayAwake());
