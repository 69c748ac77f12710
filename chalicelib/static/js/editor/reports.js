// The tags that stand for more than a value: the feedback of a rubric, and tables of learners with their dialog.

import { NodeSelection, TextSelection } from "../../vendor/prosemirror.js";
import { make } from "../rules_values.js";
import { home } from "./menu.js";
import { schema } from "./schema.js";
import { escape, unescape } from "./tags.js";

const TABLE = /^\{%\s*table\b([\s\S]*?)%\}$/;
const RUBRIC = /^\{%\s*rubric\s*%\}$/;
const PART = /\s*(?:"([^"]*)"|([a-z]+)\s*:\s*(?:"([^"]*)"|(\d+))(?:\s+(ascending|descending))?|,)/gy;

export const isTable = (source) => TABLE.test(source);

// `{% table "A", "B" sort: "B" descending max: 5 %}` as {columns, sort, isDescending, most}; null when it says more.
function readTable(source) {
  const inner = unescape(TABLE.exec(source)?.[1] ?? "");
  const found = { columns: [], sort: "", isDescending: false, most: "" };
  PART.lastIndex = 0;
  let at = 0;
  for (let part = PART.exec(inner); part; part = PART.exec(inner)) {
    at = PART.lastIndex;
    if (part[1] !== undefined) found.columns.push(part[1]);
    if (part[2] === "sort") Object.assign(found, { sort: part[3] ?? "", isDescending: part[5] === "descending" });
    if (part[2] === "max") found.most = part[4] ?? "";
  }
  return inner.slice(at).trim() ? null : found;
}

function writeTable({ columns, sort, isDescending, most }) {
  const order = sort ? ` sort: "${sort}"${isDescending ? " descending" : ""}` : "";
  return escape(`{% table ${columns.map((name) => `"${name}"`).join(", ")}${order}${most ? ` max: ${most}` : ""} %}`);
}

// A chip that says what stands there; tags that nothing here knows show their source.
export class TagView {
  constructor(node, view, getPos, page) {
    Object.assign(this, { node, view, getPos, page });
    this.dom = make("span", { on: { dblclick: () => { if (isTable(this.node.attrs.source)) chooseTable(page, getPos()); } } });
    this.draw();
  }

  draw() {
    const { source } = this.node.attrs;
    const table = isTable(source) ? readTable(source) : null;
    const isRubric = RUBRIC.test(source);
    const isUnknown = (table?.columns ?? []).some((name) => !this.page.names.columns.some((one) => one.name === name));
    this.dom.className = `chip ${table || isRubric ? "chip-tag" : "chip-other"}${isUnknown ? " chip-unknown" : ""}`;
    this.dom.textContent = isRubric ? "Feedback of the rubric" : table ? `Table: ${table.columns.join(", ")}` : source;
    const order = table?.sort ? `, sorted by ${table.sort}` : "";
    this.dom.title = isRubric ? "What the rubric says to the learner" : table
      ? `${table.most ? `At most ${table.most} learners` : "All learners of the report"}${order} (Enter or double click: change it)` : source;
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
}

// In a paragraph of its own: what stands there are a list or a table.
function insertAlone(view, source) {
  const { state } = view;
  const tag = schema.nodes.other.create({ source });
  const { $from } = state.selection;
  const isEmpty = $from.parent.isTextblock && !$from.parent.childCount;
  const tr = isEmpty ? state.tr.insert($from.pos, tag)
    : state.tr.insert($from.after($from.depth || 1), schema.nodes.paragraph.create({ tag: "p" }, tag));
  const end = isEmpty ? $from.pos + 1 : $from.after($from.depth || 1) + 2;
  view.dispatch(tr.setSelection(TextSelection.near(tr.doc.resolve(end))).scrollIntoView());
  view.focus();
}

export const insertRubric = (view) => insertAlone(view, "{% rubric %}");

// Asks for the columns, the order and the number of rows; at `pos` stands the table that is changed, null is a new one.
export async function chooseTable(page, pos) {
  const { view, names } = page;
  const before = pos === null ? null : readTable(view.state.doc.nodeAt(pos).attrs.source);
  if (pos !== null && !before) return;
  const answer = await askTable(names.columns.map((one) => one.name), before);
  view.focus();
  if (!answer) return;
  if (pos === null) { insertAlone(view, writeTable(answer)); return; }
  const tr = view.state.tr.setNodeAttribute(pos, "source", writeTable(answer));
  view.dispatch(tr.setSelection(NodeSelection.create(tr.doc, pos)));
}

function askTable(known, before) {
  return new Promise((resolve) => {
    let chosen = [...(before?.columns ?? [])];
    const list = make("ol", { class: "table-columns", "aria-label": "Columns of the table" });
    const add = make("select", { class: "form-select", id: "ask-add" });
    const sort = make("select", { class: "form-select", id: "ask-sort" }, make("option", { value: "" }, "as in the table"),
      ...known.map((name) => make("option", { value: name }, name)));
    sort.value = before?.sort ?? "";
    const order = make("select", { class: "form-select", id: "ask-order", "aria-label": "Direction" },
      make("option", { value: "" }, "lowest first"), make("option", { value: "down" }, "highest first"));
    order.value = before?.isDescending ? "down" : "";
    const most = make("input", { class: "form-control", id: "ask-most", type: "number", min: "1", max: "100000", placeholder: "all" });
    most.value = before?.most ?? "";
    const problem = make("p", { class: "problem", role: "alert" });

    const move = (index, step) => {
      chosen.splice(index + step, 0, ...chosen.splice(index, 1));
      draw();
      list.children[index + step].querySelector(step < 0 ? "button" : "button:nth-of-type(2)").focus();
    };
    const small = (sign, label, run, disabled) => make("button",
      { type: "button", class: "btn btn-sm btn-outline-secondary", "aria-label": label, ...(disabled && { disabled: true }), on: { click: run } }, sign);
    const draw = () => {
      list.replaceChildren(...chosen.map((name, index) => make("li", {}, make("span", {}, name),
        small("↑", `Move “${name}” up`, () => move(index, -1), index === 0),
        small("↓", `Move “${name}” down`, () => move(index, 1), index === chosen.length - 1),
        small("✕", `Take “${name}” out`, () => { chosen = chosen.filter((_, at) => at !== index); draw(); add.focus(); }))));
      add.replaceChildren(make("option", { value: "" }, "choose a column"),
        ...known.filter((name) => !chosen.includes(name)).map((name) => make("option", { value: name }, name)));
    };
    add.addEventListener("change", () => { if (add.value) { chosen.push(add.value); problem.textContent = ""; draw(); } });
    draw();

    const labelled = (id, words, ...fields) => make("div", { class: "field" }, make("label", { class: "form-label", for: id }, words), ...fields);
    const title = before ? "Table of learners" : "Insert a table of learners";
    const form = make("form", { method: "dialog" }, make("h2", {}, title), list, labelled("ask-add", "Add a column", add), problem,
      labelled("ask-sort", "Sorted by", make("div", { class: "table-order" }, sort, order)), labelled("ask-most", "At most so many learners", most),
      make("div", { class: "editor-dialog-foot" }, make("button", { class: "btn btn-primary", value: "ok" }, before ? "Change it" : "Insert"),
        make("button", { class: "btn btn-link", value: "", formnovalidate: true }, "Cancel")));
    form.addEventListener("submit", (event) => {
      if (event.submitter?.value !== "ok" || chosen.length) return;
      event.preventDefault();
      problem.textContent = "Choose at least one column.";
      add.focus();
    });
    const dialog = make("dialog", { class: "editor-dialog", "aria-label": title }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "ok"
        ? { columns: chosen, sort: sort.value, isDescending: order.value === "down", most: most.value } : null);
    });
    home().append(dialog);
    dialog.showModal();
    add.focus();
  });
}
