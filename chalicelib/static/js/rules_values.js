// The fields for the value of a rule, by the column's type and its list of allowed values.

export const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
};

const PLACEHOLDERS = { integer: "a whole number", double: "a number", text: "text", datetime: "2026-03-31 14:30" };
const KEYBOARDS = { integer: "numeric", double: "decimal" };
const LOCAL_TIME = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?))?$/;
const YES = ["true", "yes", "1"];
const NO = ["false", "no", "0"];

const isNumber = (column) => column.type === "integer" || column.type === "double";
const same = (column, one, other) =>
  one === other || (isNumber(column) && one !== "" && other !== "" && Number(one) === Number(other));

function choices(column) {
  if (column.type === "boolean") return [["true", "yes"], ["false", "no"]];
  return column.values.map((value) => [value, value]);
}

function yesOrNo(value) {
  const lower = value.toLowerCase();
  return YES.includes(lower) ? "true" : NO.includes(lower) ? "false" : value;
}

export const hasChoices = (column) => column.type === "boolean" || column.values.length > 0;

// Each of these returns one field that shows `value` and calls `set(text)` when a person changes it.
export function valueField(column, value, label, set) {
  if (hasChoices(column)) return choiceField(column, value, label, set);
  return column.type === "datetime" && (value === "" || LOCAL_TIME.test(value))
    ? momentField(value, label, set) : typedField(column, value, label, set);
}

function typedField(column, value, label, set) {
  const field = make("input", { class: "form-control form-control-sm", type: "text", autocomplete: "off",
    "aria-label": label, placeholder: PLACEHOLDERS[column.type], inputmode: KEYBOARDS[column.type],
    on: { input: (event) => set(event.target.value) } });
  field.value = value;
  return field;
}

function momentField(value, label, set) {
  const field = make("input", { class: "form-control form-control-sm", type: "datetime-local", step: "any",
    max: "9999-12-31T23:59", "aria-label": label,
    on: { input: (event) => set(event.target.value.replace("T", " ")) } });
  const [, day, time] = LOCAL_TIME.exec(value) ?? [];
  if (day) field.value = `${day}T${time ?? "00:00"}`;
  return field;
}

function choiceField(column, value, label, set) {
  const chosen = column.type === "boolean" ? yesOrNo(value) : value;
  const field = make("select", { class: "form-select form-select-sm", "aria-label": label,
    on: { change: (event) => set(event.target.value) } });
  if (!choices(column).some(([one]) => same(column, one, chosen))) {
    field.append(chosen === ""
      ? make("option", { value: "", selected: true, disabled: true }, "Choose a value")
      : make("option", { value: chosen, selected: true }, `${chosen} (no longer in the list)`));
  }
  for (const [one, words] of choices(column)) {
    field.append(make("option", { value: one, selected: same(column, one, chosen) }, words));
  }
  return field;
}

export function listField(column, values, set) {
  return column.values.length ? ticksField(column, values, set) : linesField(column, values, set);
}

function linesField(column, values, set) {
  const field = make("textarea", { class: "form-control form-control-sm", rows: "3", placeholder: "one on each line",
    "aria-label": "Values, one on each line", on: { input: (event) => {
      const lines = event.target.value.split("\n");
      set((column.type === "text" ? lines : lines.map((line) => line.trim())).filter((line) => line !== ""));
    } } });
  field.value = values.join("\n");
  return field;
}

function ticksField(column, values, set) {
  const box = make("div", { class: "rule-ticks", role: "group", "aria-label": "Values" });
  const lost = values.filter((value) => !column.values.some((one) => same(column, one, value)));
  const ticked = () => [...box.querySelectorAll("input:checked")].map((input) => input.value);
  for (const value of [...column.values, ...lost]) {
    const input = make("input", { type: "checkbox", value, on: { change: () => set(ticked()) } });
    input.checked = values.some((one) => same(column, one, value));
    box.append(make("label", {}, input, lost.includes(value) ? `${value} (no longer in the list)` : value));
  }
  return box;
}
