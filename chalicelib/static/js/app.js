// What every page has: keys, toasts that go away, confirmations, forms that are sent once.

const typing = (target) => target.closest("input, textarea, select, [contenteditable=true]");
let previous = "";

function goTo(suffix) {
  const base = document.body.dataset.workflow;
  if (base) location.assign(base + suffix);
}

const jumps = { o: "", t: "/table", m: "/actions", a: "/runs", s: "/settings" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (previous === "g" && event.key in jumps) {
    goTo(jumps[event.key]);
  } else if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  } else if (event.key === "?") {
    document.getElementById("keys")?.showModal?.() ?? showKeys();
  }
  previous = event.key;
});

function showKeys() {
  const lines = [["/", "Search"], ["g o", "Overview"], ["g t", "Table"], ["g m", "Messages"], ["g a", "Activity"],
    ["g s", "Settings"], ["?", "This list"], ["Esc", "Close"]];
  const dialog = document.createElement("dialog");
  dialog.id = "keys";
  dialog.className = "keys";
  dialog.setAttribute("aria-label", "Keys");
  const list = document.createElement("dl");
  for (const [key, meaning] of lines) {
    const term = document.createElement("dt");
    const kbd = document.createElement("kbd");
    kbd.textContent = key;
    term.append(kbd);
    const what = document.createElement("dd");
    what.textContent = meaning;
    list.append(term, what);
  }
  dialog.append(list);
  document.body.append(dialog);
  dialog.showModal();
}

// A form marked data-once can't be sent twice by a double click; the server refuses it as well.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) { event.preventDefault(); return; }
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => { delete form.dataset.sent; }, 4000);
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((f) => delete f.dataset.sent));

document.addEventListener("click", (event) => {
  const close = event.target.closest("[data-close]");
  if (close) close.closest(close.dataset.close)?.remove();
});

// Good news goes by itself, unless somebody is at it; bad news and what can be undone stay.
const NEWS_MS = 8000;
const toasts = document.getElementById("toasts");
if (toasts) new MutationObserver((changes) => {
  for (const box of changes.flatMap((change) => [...change.addedNodes])) {
    if (!box.matches?.(".flash-success") || box.querySelector("form")) continue;
    const go = () => (box.matches(":hover, :focus-within") ? setTimeout(go, NEWS_MS) : box.remove());
    setTimeout(go, NEWS_MS);
  }
}).observe(toasts, { childList: true });

export function toast(message, kind = "danger") {
  const box = document.createElement("div");
  box.className = `flash flash-${kind}`;
  box.setAttribute("role", kind === "danger" ? "alert" : "status");
  const text = document.createElement("span");
  text.textContent = message;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn-close";
  button.dataset.close = ".flash";
  button.setAttribute("aria-label", "Close");
  box.append(text, button);
  document.getElementById("toasts").append(box);
}

const HEADERS = "hx-headers:inherited";
export const csrfToken = () => JSON.parse(document.body.getAttribute(HEADERS))["X-CSRF-Token"];

// After signing in again in another tab, the session's new token has to take the place of the old one.
async function renewToken() {
  const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  const headers = page.body.getAttribute(HEADERS);
  document.body.setAttribute(HEADERS, headers);
  const token = csrfToken();
  for (const field of document.querySelectorAll("input[name=csrf_token]")) field.value = token;
}

// Sends a form-encoded POST; answers {status, data} where data is the JSON answer or null. 401: somebody has to sign in.
export async function post(url, fields, isSecondTry = false) {
  const body = new URLSearchParams(fields);
  const headers = { "X-CSRF-Token": csrfToken(), Accept: "application/json" };
  const answer = await fetch(url, { method: "POST", body, headers, redirect: "manual", keepalive: String(body).length < 60_000 });
  if (answer.type === "opaqueredirect") return { status: 401, data: null };
  if (answer.status === 403 && !isSecondTry) {
    await renewToken();
    return post(url, fields, true);
  }
  const type = answer.headers.get("Content-Type") ?? "";
  return { status: answer.status, data: type.includes("json") ? await answer.json() : null };
}

document.addEventListener("htmx:error", () => toast("The server can't be reached. Nothing was lost; please try again."));

// Where the time zone is asked for without a word: the browser's own.
for (const field of document.querySelectorAll("[data-time-zone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
}
