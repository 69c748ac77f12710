// The page of a text that is written as its source, such as JSON: saving, problems at their places, insert menus.

import { make } from "./rules_values.js";
import { Saver } from "./saver.js";

const form = document.getElementById("text-form");
const state = document.getElementById("save-state");
const problems = document.getElementById("text-problems");
const notes = document.getElementById("text-notes");
const field = form.elements.text;
const saver = new Saver(form, tell);
const WORDS = {
  waiting: "Not saved yet", saving: "Saving …", saved: "Saved", refused: "Draft: can’t be sent", stale: "Not saved: changed elsewhere",
  lost: "Not saved: no connection; trying again", signedOut: "Not saved: you are signed out",
};

form.querySelector(".by-hand").hidden = true;
document.getElementById("insert-row").hidden = false;
field.addEventListener("input", () => form.dispatchEvent(new CustomEvent("text-change")));

function tell(news) {
  state.textContent = WORDS[news.state];
  state.dataset.state = news.state;
  if (news.state === "waiting" || news.state === "saving") return;
  problems.replaceChildren();
  notes.replaceChildren(...(news.note ? [make("p", { class: "note", role: "status" }, news.note)] : []));
  field.toggleAttribute("aria-invalid", news.state === "refused");
  if (news.state === "refused") showProblems(news);
  else if (news.state === "stale") showConflict(news);
  else if (news.state === "saved" && news.isNew) refresh();
}

function showProblems({ message, problems: found = [] }) {
  for (const one of found.length ? found : [{ message }]) {
    for (const line of one.message.split("\n")) problems.append(make("p", {}, line));
    if (one.line && one.name) problems.append(make("button", { type: "button", class: "btn btn-sm btn-link", on: { click: () => goTo(one.line, one.column) } }, `Go to line ${one.line}`));
  }
}

function showConflict({ message, version, text }) {
  const keep = () => { saver.accept(version, text); saver.save(); };
  problems.append(make("p", {}, `${message} Nothing of yours is lost. `,
    make("button", { type: "button", class: "btn btn-sm btn-outline-secondary", on: { click: keep } }, "Keep mine")),
    make("details", {}, make("summary", {}, "The other text"), make("pre", { class: "source" }, text)));
}

function goTo(line, column) {
  const at = field.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0) + column - 1;
  field.focus();
  field.setSelectionRange(at, at);
}

function refresh() {
  htmx.ajax("GET", form.querySelector("[data-here]").dataset.here + location.search, {
    source: "#preview", target: "#preview", select: "#preview", selectOOB: "#who,#notices", swap: "outerMorph",
  }).catch(() => {});
}

// -- insert menus: at the cursor, or around what is marked

const written = (name) => (/[^\p{L}\p{N}_ ]/u.test(name) ? `"${name}"` : name);

function insert(kind, name) {
  const [from, to] = [field.selectionStart, field.selectionEnd];
  const marked = field.value.slice(from, to);
  const open = field.value.lastIndexOf("{% table", from);
  const isInTable = open >= 0 && !field.value.slice(open, from).includes("%}");
  const text = {
    value: () => `{{ ${written(name)} }}`,
    condition: () => `{% if ${written(name)} %}${marked || " … "}{% endif %}`,
    table: () => (isInTable ? `, "${name}"` : `{% table "${name}" %}`),
  }[kind]();
  field.setRangeText(text, from, to, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

document.getElementById("insert-row").addEventListener("change", ({ target }) => {
  if (target.value) insert(target.dataset.insert, target.value);
  target.value = "";
});

const left = saver.left();
if (left) {
  form.elements.version.value = left.version;
  field.value = left.text;
}
if (left || saver.hasDraft) saver.changed();

// Whatever leaves the page waits until the text is stored.
let passing = false;
document.addEventListener("submit", (event) => {
  if (event.submitter?.hasAttribute("data-leave")) { saver.forget(); return; }
  if (event.target === form) { event.preventDefault(); saver.flush(); return; }
  if (passing || !saver.isDirty) return;
  event.preventDefault();
  saver.flush().then(() => { passing = true; event.target.requestSubmit(event.submitter); passing = false; });
}, true);
