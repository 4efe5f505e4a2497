// Says when the station cannot be reached while a long work is watched, and when it can again.
const lost = document.getElementById("lost");
document.addEventListener("htmx:error", () => { lost.hidden = false; });
document.addEventListener("htmx:response:error", () => { lost.hidden = false; });
document.addEventListener("htmx:after:swap", () => { lost.hidden = true; });
