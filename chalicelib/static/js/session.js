// Asks, a minute before the session ends, whether somebody is still there. Every answer of the server says how long the
// session lasts from then on; the windows of a session tell each other.

const MINUTE = 60;
const dialog = document.getElementById("leaving");
const token = JSON.parse(document.body.getAttribute("hx-headers:inherited"))["X-CSRF-Token"];
const others = new BroadcastChannel("ontask-session");
let ends = 0;

function lasts(seconds) {
  ends = Date.now() + seconds * 1000;
  if (seconds > MINUTE && dialog.open) dialog.close();
}

function heard(seconds) {
  if (!seconds) return;
  lasts(seconds);
  others.postMessage({ token, seconds });
}

others.addEventListener("message", ({ data }) => { if (data.token === token) lasts(data.seconds); });
document.addEventListener("htmx:after:request", ({ detail }) =>
  heard(Number(detail.ctx?.response?.headers?.get("X-Session-Seconds"))));

dialog.querySelector("[data-stay]").addEventListener("click", async () => {
  const answer = await fetch(dialog.dataset.keepAlive, {
    method: "POST", headers: { "X-CSRF-Token": token, "HX-Request": "true" }, body: new URLSearchParams(),
  }).catch(() => null);
  heard(Number(answer?.headers.get("X-Session-Seconds")));
});
dialog.addEventListener("cancel", (event) => event.preventDefault());

const timer = setInterval(() => {
  const left = Math.ceil((ends - Date.now()) / 1000);
  // The server knows better: it shows the page again if another window went on, the sign-in if nobody did.
  if (left <= 0) {
    clearInterval(timer);
    location.replace(location.pathname + location.search);
  } else if (left <= MINUTE) {
    dialog.querySelector("[data-seconds]").textContent = left;
    if (!dialog.open) dialog.showModal();
  }
}, 1000);

heard(Number(document.body.dataset.sessionSeconds));
