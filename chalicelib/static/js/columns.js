// Lists whose lines can be put in order: by dragging a handle, or with the arrow keys on it. And the form of a formula.

import { csrfToken, toast } from "./app.js";

const say = (words) => { const place = document.getElementById("moved"); if (place) place.textContent = words; };

// Take a line along with the pointer; `done` is told where it came to lie.
function drag(event, handle, line, done) {
  const box = line.parentElement;
  const before = [...box.children];
  event.preventDefault();
  handle.focus();
  handle.setPointerCapture(event.pointerId);
  line.classList.add("moving");
  const move = (moved) => {
    const over = [...box.children].find((other) => {
      const area = other.getBoundingClientRect();
      return other !== line && moved.clientY >= area.top && moved.clientY < area.bottom;
    });
    if (!over) return;
    const area = over.getBoundingClientRect();
    const isAfter = moved.clientY > area.top + area.height / 2;
    box.insertBefore(line, isAfter ? over.nextElementSibling : over);
  };
  const end = (ended) => {
    handle.removeEventListener("pointermove", move);
    handle.removeEventListener("pointerup", end);
    handle.removeEventListener("pointercancel", end);
    line.classList.remove("moving");
    if (ended.type === "pointercancel") box.replaceChildren(...before);
    else if (before.indexOf(line) !== [...box.children].indexOf(line)) done(before);
  };
  handle.addEventListener("pointermove", move);
  handle.addEventListener("pointerup", end);
  handle.addEventListener("pointercancel", end);
}

// Where a key leads a line: the line's new index.
function target(key, at, last) {
  return { ArrowUp: Math.max(0, at - 1), ArrowDown: Math.min(last, at + 1), Home: 0, End: last }[key];
}

function put(line, at) {
  const others = [...line.parentElement.children].filter((other) => other !== line);
  line.parentElement.insertBefore(line, others[at] ?? null);
}

// Columns: the server is told, and its list shown; where it refuses the line snaps back.
async function save(line, before) {
  const box = line.parentElement;
  const place = [...box.children].indexOf(line) + 1;
  const { column } = line.dataset;
  const name = line.querySelector(".c-name").textContent.trim();
  const back = () => box.replaceChildren(...before);
  try {
    const answer = await fetch(box.parentElement.dataset.move, {
      method: "POST",
      headers: { "X-CSRF-Token": csrfToken(), "HX-Request": "true" },
      body: new URLSearchParams({ column, to: String(place) }),
    });
    const text = await answer.text();
    if (!answer.ok || answer.headers.has("HX-Retarget")) {
      back();
      toast(new DOMParser().parseFromString(text, "text/html").body.textContent.trim() || "It was not moved. Please try again.");
      return;
    }
    const fresh = document.createElement("template");
    fresh.innerHTML = text;
    document.getElementById("columns").replaceChildren(fresh.content);
    say(`${name} is number ${place} now.`);
  } catch {
    back();
    toast("The server can’t be reached, so the column was not moved.");
  }
  document.querySelector(`tr[data-column="${column}"] .handle`)?.focus();
}

function moved(line, before) {
  if (line.matches("tr")) save(line, before);
  else line.dispatchEvent(new CustomEvent("moved", { bubbles: true }));
}

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest?.(".handle");
  if (!handle || event.button !== 0) return;
  const line = handle.closest("tr, li");
  drag(event, handle, line, (before) => moved(line, before));
});

document.addEventListener("keydown", (event) => {
  const handle = event.target.closest?.(".handle");
  if (!handle) return;
  const line = handle.closest("tr, li");
  const lines = [...line.parentElement.children];
  const to = target(event.key, lines.indexOf(line), lines.length - 1);
  if (to === undefined) return;
  event.preventDefault();
  if (to === lines.indexOf(line)) return;
  put(line, to);
  handle.focus();
  moved(line, lines);
});

// A menu opens under its button, or above it where there is no room.
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (event.newState !== "open" || !menu.matches?.(".menu")) return;
  const button = document.querySelector(`[popovertarget="${menu.id}"]`).getBoundingClientRect();
  const room = document.documentElement.clientHeight - button.bottom;
  const top = room > menu.offsetHeight + 8 ? button.bottom + 4 : Math.max(8, button.top - menu.offsetHeight - 4);
  menu.style.margin = "0";
  menu.style.inset = `${top}px auto auto ${Math.max(8, button.right - menu.offsetWidth)}px`;
}, true);

// The form of a formula shows what the chosen operation needs: columns of its types, weights, a separator.
const NUMBERS = ["integer", "double"];
const TYPES = { all: ["boolean"], any: ["boolean"], concat: ["integer", "double", "boolean", "datetime", "text"] };

function fit(sources) {
  const operation = document.getElementById("f-op").value;
  const types = TYPES[operation] ?? NUMBERS;
  for (const line of sources.querySelectorAll("li")) {
    const box = line.querySelector("[name=sources]");
    line.hidden = !types.includes(line.dataset.type) && !box.checked;
    line.querySelector(".weight").hidden = operation !== "weighted";
  }
  for (const part of document.querySelectorAll("[data-only]")) part.hidden = part.dataset.only !== operation;
}

const sources = document.querySelector("[data-sort-sources]");
if (sources) {
  for (const line of sources.querySelectorAll("li")) {
    const handle = document.createElement("button");
    handle.type = "button";
    handle.className = "handle";
    handle.textContent = "⠿";
    handle.title = "Drag, or press ↑ and ↓";
    handle.setAttribute("aria-label", `Move ${line.querySelector("label").firstChild.textContent.trim()}`);
    line.prepend(handle);
  }
  document.getElementById("f-op").addEventListener("change", () => fit(sources));
  fit(sources);
}
