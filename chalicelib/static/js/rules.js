// The rule builder: draws the formula in a hidden input as nested fieldsets and writes every change back into it.
// It sends a bubbling `formula-change` event 300 ms after the last change, and once when it appears; the page asks the
// server for the count then.

import { isGroup, LISTS, newGroup, newRule, number, read, write } from "./rules_tree.js";
import { hasChoices, listField, make, valueField } from "./rules_values.js";

const QUIET_MS = 300;
const MODES = [
  ["all", "All of these hold", true, false], ["any", "At least one of these holds", false, false],
  ["none", "None of these holds", false, true], ["notall", "Not all of these hold", true, true],
];
const started = new WeakSet();
let serial = 0;

class Builder {
  constructor(root) {
    this.root = root;
    this.input = root.querySelector("input[type=hidden]");
    const { columns, operators, timeZone } = JSON.parse(root.dataset.builder);
    this.columns = new Map(columns.map((column) => [column.id, column]));
    this.operators = operators;
    this.timeZone = timeZone;
    this.tree = read(this.input.value);
    const problems = JSON.parse(root.dataset.problems || "{}");
    number(this.tree, (node, words) => { node.problem = problems[words]; });
    root.querySelector("[data-rules-body]")?.remove();
    this.body = make("div", { "data-rules-body": true });
    this.status = make("div", { class: "rule-status", role: "status" });
    this.fields = make("div");
    this.body.append(this.fields, this.status);
    root.append(this.body);
    this.draw();
    this.announce();
    if (document.activeElement === document.body) this.body.querySelector("[aria-invalid=true]")?.focus();
  }

  // Writes the tree into the form. Whatever was said about the last change is over.
  changed() {
    this.input.value = write(this.tree);
    this.status.replaceChildren();
    this.announce();
  }

  announce() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.root.dispatchEvent(new CustomEvent("formula-change", { bubbles: true, detail: this.input.value }));
    }, QUIET_MS);
  }

  draw(focus) {
    number(this.tree);
    this.fields.replaceChildren(this.group(this.tree, null));
    if (focus) this.fields.querySelector(`[data-focus="${focus}"]`)?.focus();
  }

  redraw(focus) {
    this.changed();
    this.draw(focus);
  }

  key(node, part) {
    node.id ??= ++serial;
    return `${node.id}-${part}`;
  }

  group(group, parent) {
    const words = parent ? `Group ${group.place}` : this.root.dataset.label;
    const list = make("ol", { class: "rule-list" });
    for (const member of group.members) {
      list.append(make("li", {}, isGroup(member) ? this.group(member, group) : this.rule(member, group)));
    }
    if (!group.members.length) {
      list.append(make("li", { class: "rule-empty" }, parent ? "This group has no rules yet." : this.root.dataset.empty));
    }
    const box = make("fieldset", { class: "rule-group" }, make("legend", { class: "visually-hidden" }, words));
    box.append(this.groupHead(group, parent), list, ...this.problemOf(group), this.groupFoot(group));
    return box;
  }

  groupHead(group, parent) {
    const field = make("select", { class: "form-select form-select-sm", "aria-label": "How the rules are joined",
      "data-focus": this.key(group, "mode"), on: { change: (event) => {
        [, , group.every, group.negated] = MODES.find(([name]) => name === event.target.value);
        this.changed();
      } } });
    for (const [value, words, every, negated] of MODES) {
      field.append(make("option", { value, selected: every === group.every && negated === group.negated }, words));
    }
    const head = make("div", { class: "rule-head" }, field);
    if (parent) head.append(this.removeButton(group, parent, `group ${group.place}`));
    return head;
  }

  groupFoot(group) {
    const add = (words, member) => make("button", { type: "button", class: "btn btn-sm btn-link",
      "data-focus": this.key(group, words === "Add a rule" ? "add" : "nest"), on: { click: () => {
        const made = member();
        delete group.problem;
        group.members.push(made);
        this.redraw(this.key(isGroup(made) ? made.members[0] : made, "column"));
      } } }, words);
    return make("div", { class: "rule-foot" }, add("Add a rule", newRule),
      add("Add a group", () => ({ ...newGroup([newRule()]), every: false })));
  }

  removeButton(node, parent, words) {
    return make("button", { type: "button", class: "btn-close rule-remove", "aria-label": `Remove ${words}`,
      on: { click: () => {
        const index = parent.members.indexOf(node);
        parent.members.splice(index, 1);
        const next = parent.members[Math.min(index, parent.members.length - 1)];
        this.redraw(next ? this.key(next, isGroup(next) ? "mode" : "column") : this.key(parent, "add"));
        this.offerUndo(node, parent, index, words);
      } } });
  }

  offerUndo(node, parent, index, words) {
    this.status.replaceChildren(`Removed ${words}. `, make("button", { type: "button", class: "btn btn-sm btn-link",
      on: { click: () => {
        parent.members.splice(index, 0, node);
        this.redraw(this.key(node, isGroup(node) ? "mode" : "column"));
      } } }, "Undo"));
  }

  rule(rule, parent) {
    const column = this.columns.get(rule.column);
    const row = make("div", { class: "rule", role: "group", "aria-label": `Rule ${rule.place}` });
    row.append(this.columnField(rule, column));
    const operator = column && this.operatorsOf(column).find((item) => item.name === rule.op);
    if (column) row.append(this.operatorField(rule, column, operator));
    if (operator) row.append(...this.valueFields(rule, column, operator));
    row.append(this.removeButton(rule, parent, `rule ${rule.place}`), ...this.notes(column, operator));
    const [problem] = this.problemOf(rule);
    if (problem) {
      const field = [...row.querySelectorAll("select, input, textarea")].at(-1);
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", problem.id);
      field.classList.add("is-invalid");
      row.append(problem);
    }
    return row;
  }

  problemOf(node) {
    return node.problem ? [make("p", { class: "problem", id: `rules-problem-${this.key(node, "x")}` }, node.problem)] : [];
  }

  notes(column, operator) {
    const notes = [];
    if (operator?.keepsMissing) notes.push(`Also holds where ${column.name} is missing.`);
    if (column?.type === "double" && !column.values.length && ["equal", "not_equal"].includes(operator?.name)) {
      notes.push("Numbers are compared exactly; for calculated ones, “is between” is safer.");
    }
    if (column?.type === "datetime" && operator?.operands && this.timeZone) notes.push(`Time zone: ${this.timeZone}.`);
    return notes.length ? [make("p", { class: "rule-note" }, notes.join(" "))] : [];
  }

  operatorsOf(column) {
    return this.operators[column.values.length ? `${column.type} listed` : column.type];
  }

  columnField(rule, column) {
    const field = make("select", { class: "form-select form-select-sm rule-column", "aria-label": "Column",
      "data-focus": this.key(rule, "column"), on: { change: (event) => {
        rule.column = Number(event.target.value);
        this.fit(rule, column);
        this.redraw(this.key(rule, "column"));
      } } });
    if (!column) {
      field.append(make("option", { value: "", selected: true, disabled: true },
        rule.column ? "A deleted column" : "Choose a column"));
    }
    for (const item of this.columns.values()) {
      field.append(make("option", { value: String(item.id), selected: item === column }, item.name));
    }
    return field;
  }

  operatorField(rule, column, operator) {
    const field = make("select", { class: "form-select form-select-sm", "aria-label": "Comparison",
      "data-focus": this.key(rule, "op"), on: { change: (event) => {
        rule.op = event.target.value;
        this.fit(rule, column);
        this.redraw(this.key(rule, "op"));
      } } });
    if (!operator) field.append(make("option", { value: "", selected: true, disabled: true }, "Choose a comparison"));
    for (const item of this.operatorsOf(column)) {
      field.append(make("option", { value: item.name, selected: item === operator }, item.words));
    }
    return field;
  }

  // After another column or comparison was chosen: keep what still makes sense of comparison and values.
  fit(rule, before) {
    const column = this.columns.get(rule.column);
    const fits = this.operatorsOf(column);
    const operator = fits.find((item) => item.name === rule.op) ?? fits[0];
    const kept = before && before.type === column.type && (before === column || !hasChoices(column)) ? rule.values : [];
    rule.op = operator.name;
    const blank = column.type === "boolean" ? "true" : "";
    rule.values = operator.operands < 0
      ? kept.filter((value) => value !== "") : Array.from({ length: operator.operands }, (_, index) => kept[index] ?? blank);
    delete rule.problem;
  }

  valueFields(rule, column, operator) {
    const set = (change) => {
      change();
      if (rule.problem) this.forget(rule);
      this.changed();
    };
    if (LISTS.has(rule.op)) {
      return [listField(column, rule.values, (values) => set(() => { rule.values = values; }))];
    }
    const fields = Array.from({ length: operator.operands }, (_, index) => {
      const label = operator.operands === 2 ? ["From", "To"][index] : "Value";
      rule.values[index] ??= "";
      return valueField(column, rule.values[index], label, (text) => set(() => { rule.values[index] = text; }));
    });
    return fields.length === 2 ? [fields[0], make("span", { class: "rule-and", "aria-hidden": "true" }, "and"), fields[1]] : fields;
  }

  // The problem was about what has just been typed over; the field keeps its focus.
  forget(rule) {
    const problem = this.fields.querySelector(`#rules-problem-${this.key(rule, "x")}`);
    const field = this.fields.querySelector(`[aria-describedby="${problem?.id}"]`);
    problem?.remove();
    field?.classList.remove("is-invalid");
    field?.removeAttribute("aria-invalid");
    field?.removeAttribute("aria-describedby");
    delete rule.problem;
  }
}

function start() {
  for (const root of document.querySelectorAll("[data-rules]")) {
    if (started.has(root)) continue;
    started.add(root);
    new Builder(root);
  }
}

start();
// Parts that HTMX puts into the page later bring their own builders.
new MutationObserver(start).observe(document.body, { childList: true, subtree: true });
