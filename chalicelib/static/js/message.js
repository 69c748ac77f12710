// The page of a message: the editor and its saving, problems at their places, the panel beside the text, the preview.

import { MessageEditor } from "./editor/main.js";
import { make } from "./rules_values.js";
import { Saver } from "./saver.js";

const form = document.getElementById("text-form");
const state = document.getElementById("save-state");
const problems = document.getElementById("text-problems");
const notes = document.getElementById("text-notes");
const panel = document.getElementById("panel");
const root = form.querySelector("[data-editor]");
const editor = new MessageEditor(root);
const saver = new Saver(form, tell);

form.querySelector(".by-hand").hidden = true;

// -- saving

const WORDS = {
  waiting: "Not saved yet", saving: "Saving …", saved: "Saved", refused: "Not saved: see below the text",
  stale: "Not saved: changed elsewhere", lost: "Not saved: no connection; trying again", signedOut: "Not saved: you are signed out",
};

function tell(news) {
  state.textContent = WORDS[news.state];
  state.dataset.state = news.state;
  if (news.state === "waiting" || news.state === "saving") return;
  problems.replaceChildren();
  editor.field.toggleAttribute("aria-invalid", news.state === "refused");
  if (news.state === "refused") showProblems(news);
  else if (news.state === "stale") showConflict(news);
  else if (news.state === "signedOut") showSignIn();
  else if (news.state === "saved") showSaved(news);
}

function showSaved({ removed = [], isNew = false }) {
  notes.replaceChildren();
  document.getElementById("draft")?.remove();
  if (removed.length) {
    notes.append(make("p", { class: "note" }, `Taken out, because mails can’t have it: ${removed.join(", ")}.`));
  }
  if (isNew) refresh();
}

function showProblems({ message, problems: found = [] }) {
  if (!found.length) problems.append(make("p", {}, message));
  for (const one of found) {
    const line = make("p", {}, one.message, " ");
    if (editor.isSource) {
      line.prepend(make("button", { type: "button", class: "btn btn-sm btn-link", on: { click: () => editor.goTo(one.line, one.column) } },
        `Line ${one.line}, column ${one.column}`), " ");
    }
    for (const name of one.name ? one.suggestions : []) {
      line.append(make("button", { type: "button", class: "btn btn-sm btn-outline-secondary", on: { click: () => swapName(one.name, name) } },
        `Use “${name}”`), " ");
    }
    problems.append(line);
  }
}

// A misspelt name is put right wherever a tag has it.
function swapName(wrong, right) {
  const plain = wrong.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const text = editor.field.value.replace(/\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}/g, (tag) => tag.replace(
    new RegExp(`"${plain}"|${plain}`), () => (/[^\w ]/.test(right) ? `"${right}"` : right),
  ));
  editor.replaceText(text);
  editor.announce();
}

function showConflict({ message, version, text }) {
  const mine = editor.field.value;
  const keep = () => { saver.accept(version, text); saver.save(); };
  const take = () => {
    saver.accept(version, text);
    editor.replaceText(text);
    saver.changed();
    notes.replaceChildren(make("details", { class: "note" }, make("summary", {}, "What you had written"),
      make("textarea", { class: "form-control source", rows: "8", readonly: true, "aria-label": "What you had written" }, mine)));
  };
  problems.append(
    make("p", {}, `${message} Nothing of yours is lost.`),
    make("p", {}, make("button", { type: "button", class: "btn btn-sm btn-outline-secondary", on: { click: keep } }, "Keep mine"), " ",
      make("button", { type: "button", class: "btn btn-sm btn-outline-secondary", on: { click: take } }, "Take the other")),
    make("details", {}, make("summary", {}, "The other text"), make("pre", { class: "source" }, text)),
  );
}

function showSignIn() {
  problems.append(make("p", {}, "You are signed out. ", make("a", { href: root.dataset.signIn, target: "_blank", rel: "noopener" }, "Sign in in another tab"),
    "; this page then saves by itself. What you wrote stays here."));
}

// What this tab had not saved when it was closed or broke off comes back; a draft is tried again.
const left = saver.left();
if (left) {
  form.elements.version.value = left.version;
  editor.replaceText(left.text);
  notes.append(make("p", { class: "note", role: "status" }, "What you had typed when this page was closed is back."));
}
if (left || saver.hasDraft) saver.changed();

// -- the rest of the page follows the stored text

// The page's own address with the learner that is shown; an open panel has one of its own.
const here = () => root.dataset.here + location.search;

// It is awaited before anything else changes the preview: an answer that comes late would put the old learner back.
let refreshing = null;

function refresh() {
  const beside = ["#who", "#notices", "#rubric-notes"].filter((one) => document.querySelector(one)).join();
  const mine = Promise.resolve(htmx.ajax("GET", here(), {
    source: "#preview", target: "#preview", select: "#preview", selectOOB: beside, swap: "outerMorph",
  })).catch(() => {}).then(() => { if (refreshing === mine) refreshing = null; });
  refreshing = mine;
}

// Whatever leaves the page or shows the message waits until the text is stored.
let passing = false;

function afterSaving(event, again) {
  if (passing || !(saver.isDirty || refreshing)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  saver.flush().then(() => refreshing).then(() => { passing = true; again(); passing = false; });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href], #panel button[hx-post]");
  if (link && !link.target && !event.ctrlKey && !event.metaKey && !event.shiftKey && !root.contains(link)) afterSaving(event, () => link.click());
}, true);

document.addEventListener("submit", (event) => {
  if (event.submitter?.hasAttribute("data-leave")) { saver.forget(); return; }
  if (event.target === form) { event.preventDefault(); saver.flush(); return; }
  afterSaving(event, () => event.target.requestSubmit(event.submitter));
}, true);

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "s") { event.preventDefault(); saver.flush(); }
  if (event.key === "Escape" && panel.contains(event.target)) closePanel();
});

// -- the preview as on a phone

const WIDTH = "width of previews";

function setWidth(isPhone) {
  document.documentElement.classList.toggle("phone-preview", isPhone);
  localStorage.setItem(WIDTH, isPhone ? "phone" : "");
  for (const button of document.querySelectorAll("[data-phone]")) {
    button.hidden = false;
    button.setAttribute("aria-pressed", String(isPhone));
  }
}

setWidth(localStorage.getItem(WIDTH) === "phone");
document.addEventListener("htmx:after:swap", () => setWidth(localStorage.getItem(WIDTH) === "phone"));
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-phone]");
  if (button) setWidth(button.getAttribute("aria-pressed") !== "true");
});

// -- the panel with the rules

let opener = null;
let waiting = null;

root.addEventListener("open-condition", ({ detail }) => {
  opener = null;
  waiting = detail.choose ?? null;
  const url = root.dataset.newCondition + (detail.id ? `/${detail.id}` : "");
  saver.flush().then(() => htmx.ajax("GET", url, { target: "#panel", swap: "innerHTML" }));
});

function closePanel() {
  panel.replaceChildren();
  if (location.pathname !== root.dataset.here) history.replaceState(history.state, "", here());
  waiting = null;
  if (opener?.isConnected) opener.focus(); else if (!editor.isSource) editor.view.focus();
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close-panel]")) { event.preventDefault(); closePanel(); return; }
  const link = event.target.closest("[hx-target='#panel']");
  if (link && !panel.contains(link)) { opener = link; waiting = null; }
});

document.addEventListener("htmx:after:swap", () => {
  const head = panel.querySelector("[data-focus-me]");
  if (head) {
    head.removeAttribute("data-focus-me");
    head.focus({ preventScroll: true });
    panel.scrollIntoView({ block: "nearest" });
  }
  const fresh = panel.querySelector("[data-names]:not([data-small-editor])");
  if (fresh) settle(JSON.parse(fresh.dataset.names), fresh.dataset.made);
});

// A condition was saved or deleted: the text may speak of it, and who gets what has changed.
function settle(names, made) {
  editor.setNames(names);
  const choose = waiting;
  closePanel();
  const condition = names.conditions.find((one) => String(one.id) === made);
  if (choose && condition) choose(/^[\p{L}\p{N}][\p{L}\p{N} _]*$/u.test(condition.name) ? condition.name : `"${condition.name}"`);
  if (saver.hasFailed) saver.save();
  refresh();
}
