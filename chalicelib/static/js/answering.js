// A form of a learner: what is typed is kept a moment later, so that nothing is lost before it is sent.

const form = document.querySelector("form[data-draft]");
const state = document.getElementById("form-state");
const QUIET_MS = 1200;
let timer = 0;
let isDirty = false;
let isSending = false;

async function keep() {
  clearTimeout(timer);
  if (!isDirty || isSending) return;
  isDirty = false;
  const body = new URLSearchParams(new FormData(form));
  body.set("do", "draft");
  try {
    const answer = await fetch(form.action, {
      method: "POST", body, headers: { Accept: "application/json" }, redirect: "manual", keepalive: String(body).length < 60_000,
    });
    if (!answer.ok) throw new Error(answer.status);
    state.textContent = "Kept on this site, not sent yet.";
  } catch {
    isDirty = true;
    state.textContent = "Not kept yet: no connection.";
    timer = setTimeout(keep, 5000);
  }
}

function changed() {
  isDirty = true;
  clearTimeout(timer);
  timer = setTimeout(keep, QUIET_MS);
}

form?.addEventListener("input", changed);
form?.addEventListener("change", changed);
form?.addEventListener("submit", () => { isSending = true; clearTimeout(timer); });
document.addEventListener("visibilitychange", () => { if (form && document.hidden) keep(); });
document.querySelector(".asked .problem")?.closest(".asked")?.querySelector("input:not([type=hidden]), select, textarea")?.focus();
