// The send pages: put a column into the subject, mark fields that have a problem, show only the fields that count.

import "./repeat.js";

const form = document.getElementById("send-form");

document.querySelector("[data-insert]")?.addEventListener("change", (event) => {
  const name = event.target.value;
  const field = document.getElementById(event.target.dataset.insert);
  event.stopPropagation();
  event.target.selectedIndex = 0;
  if (!name) return;
  const reference = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `"${name}"`;
  field.setRangeText(`{{ ${reference} }}`, field.selectionStart ?? field.value.length, field.selectionEnd ?? field.value.length, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// The number that confirms a large run changes nothing of what the form comes to.
document.addEventListener("input", (event) => { if (event.target.id === "f-typed") event.stopImmediatePropagation(); }, true);

function showWhatCounts() {
  for (const name of ["later", "again"]) {
    const part = document.getElementById(name);
    if (part) part.hidden = !document.getElementById(`when-${name}`).checked;
  }
  const opens = document.getElementById("opens");
  if (opens) opens.hidden = !document.getElementById("f-track_opens").checked;
}

// The server says in words what is wrong; the field itself has to say that something is.
function markFields() {
  for (const problem of form.querySelectorAll(".problem[data-for]")) {
    const field = document.getElementById(problem.dataset.for);
    if (!field) continue;
    const wrong = problem.textContent.trim() !== "";
    field.classList.toggle("is-invalid", wrong);
    if (wrong) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
  }
}

if (form) {
  form.addEventListener("input", showWhatCounts);
  document.addEventListener("htmx:after:settle", markFields);
  showWhatCounts();
  form.querySelector("[aria-invalid=true]")?.focus();
}
