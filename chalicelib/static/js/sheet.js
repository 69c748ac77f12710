// Answers typed like in a spreadsheet: arrows and Enter go up and down, every change is saved at once, cell by cell.

import { post } from "./app.js";

const form = document.getElementById("sheet-form");
const table = document.getElementById("answers-table");
const state = document.getElementById("sheet-state");
const byHand = document.getElementById("save-by-hand");
if (byHand) byHand.hidden = true;
table?.querySelector(".fill")?.removeAttribute("hidden");

const field = (cell) => cell?.querySelector("input:not([type=hidden]), select");
const valueOf = (input) => (input.type === "checkbox" ? (input.checked ? "yes" : "") : input.value);

function next(input, step) {
  const cell = input.closest("td");
  let row = cell.parentElement;
  do {
    row = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    const other = field(row?.cells[cell.cellIndex]);
    if (other) { other.focus(); other.select?.(); return; }
  } while (row);
}

function empty(input) {
  if (input.type === "checkbox") input.checked = false; else input.value = "";
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

table?.addEventListener("keydown", (event) => {
  const input = event.target.closest("td.entry input, td.entry select");
  if (!input || event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyped = input.matches("input[type=text]");
  if (event.key === "ArrowDown" || (event.key === "Enter" && !event.shiftKey)) {
    event.preventDefault();
    next(input, 1);
  } else if (event.key === "ArrowUp" || event.key === "Enter") {
    event.preventDefault();
    next(input, -1);
  } else if (!isTyped && (event.key === "Delete" || event.key === "Backspace")) {
    event.preventDefault();
    empty(input);
  } else if (input.type === "checkbox" && (event.key === "y" || event.key === "n") && input.checked !== (event.key === "y")) {
    input.checked = event.key === "y";
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
});

table?.addEventListener("change", (event) => {
  const input = event.target.closest("td.entry input, td.entry select");
  if (input) save(input);
});

// One after the other, so that a quick second change of a cell finds the seal of the first.
let running = Promise.resolve();
let open = 0;

function save(...inputs) {
  open += 1;
  running = running.then(() => send(inputs)).finally(() => { open -= 1; });
}

// Attendance: everybody on the page came, then those who did not are corrected.
table?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fill]");
  if (!button) return;
  const inputs = [...table.querySelectorAll("td.entry")].map(field)
    .filter((input) => input.name.endsWith(button.dataset.fill) && !valueOf(input));
  for (const input of inputs) { if (input.type === "checkbox") input.checked = true; else input.value = "yes"; }
  if (inputs.length) save(...inputs);
});

const sealOf = (input) => input.closest("td").querySelector("input[type=hidden][name^=was-]");

async function send(inputs) {
  const fields = { do: "cells" };
  for (const input of inputs) {
    fields[input.name] = valueOf(input);
    fields[sealOf(input).name] = sealOf(input).value;
  }
  let answer;
  try {
    answer = await post(form.action, fields);
  } catch {
    answer = { status: 0, data: null };
  }
  for (const input of inputs) settle(input, answer);
}

function settle(input, answer) {
  const cell = input.closest("td");
  const was = sealOf(input);
  const problem = answer.status === 200 ? answer.data.problems[input.name] ?? "" : trouble(answer.status);
  cell.classList.toggle("entry-wrong", Boolean(problem));
  cell.classList.toggle("entry-saved", !problem);
  input.toggleAttribute("aria-invalid", Boolean(problem));
  const note = cell.querySelector(".problem");
  note.textContent = problem;
  if (problem) input.setAttribute("aria-describedby", note.id); else input.removeAttribute("aria-describedby");
  state.textContent = problem || "Saved.";
  if (!problem) { was.value = answer.data.seals[input.name] ?? was.value; count(cell.parentElement); }
}

function trouble(status) {
  return status === 401 || status === 403 ? "Not saved: you are signed out." : "Not saved. Please try again.";
}

function count(row) {
  const fields = [...row.querySelectorAll("td.entry")].map(field);
  if (fields.length !== [...row.cells].length - [...row.cells].findIndex((cell) => cell.matches(".done")) - 1) return;
  row.querySelector(".done").textContent = `${fields.filter((input) => valueOf(input)).length} of ${fields.length}`;
}

addEventListener("beforeunload", (event) => { if (open) event.preventDefault(); });
field(table?.querySelector("td.entry"))?.focus();
