// The rule builder: draws the formula in a hidden input as nested fieldsets and writes every change back into it.
// It sends a bubbling `formula-change` event 300 ms after the last change; the page asks the server for the count.

const QUIET_MS = 300;
const LIST = new Set(["is_one_of", "is_none_of"]);
let serial = 0;

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
};

const isGroup = (node) => "members" in node;

function fromJson(json) {
  if (!json) return { every: true, negated: false, members: [] };
  if (json.all || json.any) {
    return { every: Boolean(json.all), negated: json.not === true, members: (json.all || json.any).map(fromJson) };
  }
  const values = json.value === undefined ? [] : [json.value].flat().map(String);
  return { column: json.column, op: json.op, values };
}

function toJson(node) {
  if (isGroup(node)) {
    const json = { [node.every ? "all" : "any"]: node.members.map(toJson) };
    return node.negated ? { ...json, not: true } : json;
  }
  const json = { column: node.column, op: node.op };
  if (LIST.has(node.op) || node.values.length > 1) return { ...json, value: node.values };
  return node.values.length ? { ...json, value: node.values[0] } : json;
}

class Builder {
  constructor(root) {
    this.root = root;
    this.input = root.querySelector("input[type=hidden]");
    const { columns, operators } = JSON.parse(root.dataset.builder);
    this.columns = columns;
    this.operators = operators;
    this.tree = fromJson(this.input.value ? JSON.parse(this.input.value) : null);
    this.body = make("div");
    root.append(this.body);
    this.draw();
  }

  changed() {
    const isEmpty = this.tree.members.length === 0;
    this.input.value = isEmpty ? "" : JSON.stringify(toJson(this.tree));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.root.dispatchEvent(new CustomEvent("formula-change", { bubbles: true, detail: this.input.value }));
    }, QUIET_MS);
  }

  draw(focus) {
    this.body.replaceChildren(this.group(this.tree, null, this.root.dataset.label));
    this.changed();
    const target = focus && this.body.querySelector(`[data-focus="${CSS.escape(focus)}"]`);
    if (target) target.focus();
  }

  key(node, part) {
    node.id ??= ++serial;
    return `${node.id}-${part}`;
  }

  group(group, parent, label) {
    const box = make("fieldset", { class: "rule-group" }, make("legend", { class: "visually-hidden" }, label));
    box.append(this.groupHead(group, parent));
    const list = make("ol", { class: "rule-list" });
    group.members.forEach((member, index) => {
      const place = label === this.root.dataset.label ? `${index + 1}` : `${label.replace(/^\D+/, "")}.${index + 1}`;
      const child = isGroup(member) ? this.group(member, group, `Group ${place}`) : this.rule(member, group, place);
      list.append(make("li", {}, child));
    });
    box.append(list, this.groupFoot(group));
    return box;
  }

  groupHead(group, parent) {
    const mode = make("select", { class: "form-select form-select-sm", "aria-label": "How the rules are joined",
      "data-focus": this.key(group, "mode"),
      on: { change: (event) => {
        [group.every, group.negated] = { all: [true, false], any: [false, false], notall: [true, true],
          none: [false, true] }[event.target.value];
        this.changed();
      } } });
    const chosen = group.negated ? (group.every ? "notall" : "none") : group.every ? "all" : "any";
    for (const [value, words] of [["all", "All of these hold"], ["any", "At least one of these holds"],
      ["none", "None of these holds"], ["notall", "Not all of these hold"]]) {
      mode.append(make("option", { value, selected: value === chosen }, words));
    }
    const head = make("div", { class: "rule-head" }, mode);
    if (parent) head.append(this.removeButton(group, parent, "Remove this group"));
    return head;
  }

  groupFoot(group) {
    const add = (words, member) => make("button", { type: "button", class: "btn btn-sm btn-link",
      "data-focus": this.key(group, words), on: { click: () => {
        const made = member();
        group.members.push(made);
        this.draw(this.key(isGroup(made) ? made.members[0] : made, "column"));
      } } }, words);
    return make("div", { class: "rule-foot" }, add("Add a rule", () => this.newRule()),
      add("Add a group", () => ({ every: false, negated: false, members: [this.newRule()] })));
  }

  newRule() {
    return { column: 0, op: "", values: [] };
  }

  removeButton(node, parent, words) {
    return make("button", { type: "button", class: "btn-close rule-remove", "aria-label": words, on: { click: () => {
      parent.members.splice(parent.members.indexOf(node), 1);
      this.draw(this.key(parent, "Add a rule"));
    } } });
  }

  rule(rule, parent, place) {
    const column = this.columns.find((item) => item.id === rule.column);
    const row = make("div", { class: "rule", role: "group", "aria-label": `Rule ${place}` });
    row.append(this.columnField(rule, column));
    if (column) {
      row.append(this.operatorField(rule, column));
      row.append(...this.valueFields(rule, column));
    }
    row.append(this.removeButton(rule, parent, `Remove rule ${place}`));
    return row;
  }

  columnField(rule, column) {
    const field = make("select", { class: "form-select form-select-sm", "aria-label": "Column",
      "data-focus": this.key(rule, "column"), on: { change: (event) => {
        rule.column = Number(event.target.value);
        const found = this.columns.find((item) => item.id === rule.column);
        const fits = this.operatorsOf(found);
        if (!fits.some((item) => item.name === rule.op)) rule.op = fits[0].name;
        rule.values = this.blanks(rule, found);
        this.draw(this.key(rule, "op"));
      } } });
    if (!column) {
      field.append(make("option", { value: "0", selected: true, disabled: true },
        rule.column ? "A deleted column" : "Choose a column"));
    }
    for (const item of this.columns) {
      field.append(make("option", { value: String(item.id), selected: item === column }, item.name));
    }
    return field;
  }

  operatorsOf(column) {
    return this.operators.filter((item) => item.types.includes(column.type));
  }

  blanks(rule, column) {
    const { operands } = this.operators.find((item) => item.name === rule.op);
    if (operands < 0) return [];
    return Array.from({ length: operands }, () => (column.type === "boolean" ? "true" : ""));
  }

  operatorField(rule, column) {
    const field = make("select", { class: "form-select form-select-sm", "aria-label": "Comparison",
      "data-focus": this.key(rule, "op"), on: { change: (event) => {
        const before = rule.values;
        rule.op = event.target.value;
        const blanks = this.blanks(rule, column);
        rule.values = LIST.has(rule.op) ? before.filter(Boolean) : blanks.map((blank, index) => before[index] ?? blank);
        this.draw(this.key(rule, "op"));
      } } });
    for (const item of this.operatorsOf(column)) {
      field.append(make("option", { value: item.name, selected: item.name === rule.op }, item.words));
    }
    return field;
  }

  valueFields(rule, column) {
    const { operands } = this.operators.find((item) => item.name === rule.op);
    if (operands < 0) return [this.listField(rule)];
    return Array.from({ length: operands }, (_, index) => {
      const label = operands === 2 ? (index ? "and" : "from") : "Value";
      return column.type === "boolean" || column.values.length
        ? this.choice(rule, column, index, label) : this.typed(rule, column, index, label);
    });
  }

  typed(rule, column, index, label) {
    const hints = { integer: "a whole number", double: "a number", datetime: "2026-03-31 14:30", text: "text" };
    const numeric = { integer: "numeric", double: "decimal" }[column.type] || false;
    const field = make("input", { class: "form-control form-control-sm", "aria-label": label, autocomplete: "off",
      placeholder: hints[column.type], inputmode: numeric, "data-focus": this.key(rule, `value${index}`),
      on: { input: (event) => { rule.values[index] = event.target.value; this.changed(); } } });
    field.value = rule.values[index] ?? "";
    return field;
  }

  choice(rule, column, index, label) {
    const options = column.type === "boolean" ? [["true", "yes"], ["false", "no"]]
      : column.values.map((value) => [String(value), String(value)]);
    const chosen = column.type === "boolean"
      ? String(["true", "yes", "1"].includes((rule.values[index] ?? "").toLowerCase())) : rule.values[index];
    const field = make("select", { class: "form-select form-select-sm", "aria-label": label,
      "data-focus": this.key(rule, `value${index}`),
      on: { change: (event) => { rule.values[index] = event.target.value; this.changed(); } } });
    if (!options.some(([value]) => value === chosen)) {
      field.append(make("option", { value: "", selected: true, disabled: true }, "Choose a value"));
    }
    for (const [value, words] of options) {
      field.append(make("option", { value, selected: value === chosen }, words));
    }
    return field;
  }

  listField(rule) {
    const field = make("textarea", { class: "form-control form-control-sm", rows: "2", placeholder: "one on each line",
      "aria-label": "Values, one on each line", "data-focus": this.key(rule, "value0"),
      on: { input: (event) => {
        rule.values = event.target.value.split("\n").filter((line) => line !== "");
        this.changed();
      } } });
    field.value = rule.values.join("\n");
    return field;
  }
}

function start(root) {
  for (const node of root.querySelectorAll("[data-rules]:not([data-ready])")) {
    node.dataset.ready = "";
    new Builder(node);
  }
}

start(document);
// Parts that HTMX puts into the page later bring their own builders.
new MutationObserver(() => start(document)).observe(document.body, { childList: true, subtree: true });
