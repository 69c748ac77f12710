// How chips and conditions look and what can be done with them where they stand.

import { NodeSelection } from "../../vendor/prosemirror.js";
import { make } from "../rules_values.js";
import * as commands from "./commands.js";
import { ask, openMenu } from "./menu.js";
import { testWords } from "./schema.js";
import { quoted } from "./tags.js";

const FILTER = /^(\w+)\s*(?::\s*(?:"([^"]*)"|([^|]*)))?\s*(?:\||$)/;

// `default: "x" | round: 1` as {default: "x", round: "1"}.
function filtersOf(text) {
  const found = {};
  for (let rest = text.trim(); rest;) {
    const match = FILTER.exec(rest);
    if (!match) return null;
    found[match[1]] = match[2] ?? match[3]?.trim() ?? "";
    rest = rest.slice(match[0].length).trim();
  }
  return found;
}

function writeFilters({ round, date, percent, ...others }) {
  const steps = [];
  if (round !== undefined) steps.push(round === "" ? "round" : `round: ${round}`);
  if (percent !== undefined) steps.push(percent === "" ? "percent" : `percent: ${percent}`);
  if (date !== undefined) steps.push(`date: "${date}"`);
  if (others.default !== undefined) steps.push(`default: "${others.default}"`);
  return steps.map((step) => ` | ${step}`).join("");
}

export class ValueView {
  constructor(node, view, getPos, names) {
    Object.assign(this, { node, view, getPos, names });
    this.dom = make("span", { class: "chip", "data-value": node.attrs.source, on: { dblclick: () => this.choose() } });
    this.draw();
  }

  draw() {
    const [name, filters] = this.names.split(this.node.attrs.source);
    const isKnown = this.names.isKnown(name);
    this.dom.classList.toggle("chip-unknown", !isKnown);
    this.dom.textContent = name;
    if (filters) this.dom.append(make("span", { class: "chip-filters" }, " …"));
    this.dom.title = isKnown ? `${name}${filters ? `, ${filters}` : ""} (Enter or double click: how it is shown)`
      : `There is no column or condition “${name}”.`;
  }

  update(node) {
    if (node.type !== this.node.type) return false;
    this.node = node;
    this.draw();
    return true;
  }

  selectNode() { this.dom.classList.add("is-selected"); }

  deselectNode() { this.dom.classList.remove("is-selected"); }

  stopEvent() { return false; }

  ignoreMutation() { return true; }

  async choose() { await chooseValue(this.view, this.getPos(), this.names); }
}

// Asks how the value at `pos` is shown.
export async function chooseValue(view, pos, names) {
  const { source } = view.state.doc.nodeAt(pos).attrs;
  const [name, text] = names.split(source);
  const type = names.columns.find((one) => one.name === name)?.type;
  const filters = filtersOf(text);
  const fields = [{ name: "default", label: "Where it is missing, write", value: filters?.default ?? "", maxlength: 200 }];
  if (type === "double" || type === "integer" || filters?.round !== undefined) {
    fields.push({ name: "round", label: "Decimals", value: filters?.round ?? "", inputmode: "numeric", pattern: "[0-9]|10", maxlength: 2,
      hint: "Leave it empty to show the number as it is." });
  }
  if (type === "datetime" || filters?.date !== undefined) {
    fields.push({ name: "date", label: "Date like", value: filters?.date ?? "", placeholder: "dd/mm/yyyy hh:mm" });
  }
  if (!filters) fields.splice(0, 9, { name: "raw", label: "Shown by", value: text });
  const answer = await ask(`How “${name}” is shown`, fields, "OK", "Remove the value");
  view.focus();
  if (!answer) return;
  const tr = view.state.tr;
  if (answer.isRemoved) tr.delete(pos, pos + 1);
  else {
    const chosen = { ...filters };
    for (const key of ["default", "round", "date"]) {
      if (!(key in answer)) continue;
      if (answer[key].trim() === "") delete chosen[key]; else chosen[key] = answer[key].replace(/"/g, "”");
    }
    const next = filters ? writeFilters(chosen) : answer.raw.trim() && ` | ${answer.raw.trim()}`;
    tr.setNodeAttribute(pos, "source", quoted(name) + next);
    tr.setSelection(NodeSelection.create(tr.doc, pos));
  }
  view.dispatch(tr);
}

// One part of a condition: its head says when it is shown and opens a menu.
export class BranchView {
  constructor(node, view, getPos, page) {
    Object.assign(this, { node, view, getPos, page });
    this.words = make("span");
    this.button = make("button", { type: "button", class: "branch-head", "aria-haspopup": "menu", tabindex: "-1",
      on: { click: () => this.open(), mousedown: (event) => event.preventDefault() } }, this.words, " ▾");
    this.contentDOM = make("div", { class: "branch-body" });
    this.dom = make("div", { class: "branch", role: "group" }, make("div", { contenteditable: "false" }, this.button), this.contentDOM);
    this.draw();
  }

  draw() {
    const { kind, test } = this.node.attrs;
    const words = testWords([kind, test]);
    this.words.textContent = kind === "elif" ? `or else ${words}` : words;
    this.dom.dataset.kind = kind;
    this.dom.setAttribute("aria-label", this.words.textContent);
    this.button.setAttribute("aria-label", `${this.words.textContent}: change this condition`);
    this.dom.classList.toggle("branch-unknown", kind !== "else" && !this.page.names.canTest(test));
  }

  open() { this.page.conditionMenu(this.button, { kind: "block", pos: this.getPos(), node: this.node }); }

  update(node) {
    if (node.type !== this.node.type) return false;
    this.node = node;
    this.draw();
    return true;
  }

  stopEvent(event) { return this.button.contains(event.target); }

  ignoreMutation(record) { return !this.contentDOM.contains(record.target); }
}

// The menu of a condition in the text: `found` is what commands.conditionAt says.
export function conditionMenu(page, anchor, found) {
  const { view, names } = page;
  const [kind, test] = found.kind === "block" ? [found.node.attrs.kind, found.node.attrs.test] : found.only.chain[found.only.branch];
  const known = names.condition(test);
  const hasElse = found.kind === "block" ? commands.blockHasElse(view, found.pos) : commands.hasElse(found.only.chain);
  const items = [];
  if (kind !== "else") {
    if (known && page.canMakeConditions) items.push({ label: `Change the rules of “${known.name}”`, run: () => page.openCondition(known.id) });
    items.push({ label: "Another condition…", run: () => page.chooseTest("Show this if", anchor, (chosen) => commands.setTest(view, found, chosen), test) });
  }
  items.push({ label: "Add a part for another condition…",
    run: () => page.chooseTest("Or else if", anchor, (chosen) => commands.addBranch(view, found, "elif", chosen)) });
  if (!hasElse) items.push({ label: "Add a part for everybody else", run: () => commands.addBranch(view, found, "else") });
  items.push("-", { label: "Show the text to everybody", hint: "removes the condition, keeps the text", run: () => commands.unwrap(view, found) });
  if (found.kind === "block") items.push({ label: "Delete this part", run: () => commands.removeBranch(view, found.pos) });
  openMenu(anchor, "Condition", items);
}

// Lists what can be tested; `choose` gets the test as text.
export function testMenu(page, title, anchor, choose, current = "") {
  const items = page.names.tests.map((one) => ({ label: one.name, run: () => choose(quoted(one.name)) }));
  if (items.length) items.push("-");
  items.push({ label: "Several conditions…", run: async () => {
    const answer = await ask(title, [{ name: "test", label: "Test", value: current, required: true,
      hint: "Names of conditions with and, or, not and parentheses; in double quotes where they hold such words." }]);
    if (answer?.test.trim()) choose(answer.test.trim());
    else page.view.focus();
  } });
  if (page.canMakeConditions) items.push({ label: "New condition…", run: () => page.newCondition(choose) });
  openMenu(anchor, title, items);
}
