// The page of one alarm.
import { Alarm, typing } from "./alarm.js";
import { Feed } from "./feed.js";

const alarm = new Alarm(document.getElementById("main"));
const line = document.getElementById("line");

new Feed({
  heard(topic, body) {
    if (topic === "order" || body.about === `alarm:${alarm.id}`) alarm.heard();
  },
  again: () => alarm.heard(),
  state(open) {
    line.classList.toggle("open", open);
    line.classList.toggle("lost", !open);
    line.textContent = open ? line.dataset.open : line.dataset.lost;
  },
});

document.addEventListener("keydown", (event) => {
  if (!typing(event) && alarm.key(event.key.toLowerCase())) event.preventDefault();
});
if (location.hash.startsWith("#do-")) alarm.form(location.hash.slice(4));
