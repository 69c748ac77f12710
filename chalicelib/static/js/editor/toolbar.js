// The bar above the text (WAI-ARIA toolbar: one stop for Tab, arrows inside, Alt+F10 leads there from the text).

import { redo, redoDepth, undo, undoDepth } from "../../vendor/prosemirror.js";
import { make } from "../rules_values.js";
import * as commands from "./commands.js";
import { ask, openMenu } from "./menu.js";
import { chooseTable, insertRubric } from "./reports.js";
import { askPicture } from "./pictures.js";
import { schema } from "./schema.js";
import { quoted } from "./tags.js";
import { conditionMenu, testMenu } from "./views.js";

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const keys = (text) => text.replace("Mod", isMac ? "⌘" : "Ctrl");

function hasMark(state, name) {
  const { from, $from, to, empty } = state.selection;
  const mark = schema.marks[name];
  return empty ? Boolean(mark.isInSet(state.storedMarks ?? $from.marks())) : state.doc.rangeHasMark(from, to, mark);
}

export class Toolbar {
  constructor(page) {
    this.page = page;
    this.buttons = [];
    const { view } = page;
    const mark = (name, sign, label, key) => this.button(sign, `${label} (${keys(key)})`,
      () => commands.run(view, commands.toggle(name)), () => hasMark(view.state, name), `tool-${name}`);
    this.dom = make("div", { class: "toolbar", role: "toolbar", "aria-label": "Text", "aria-controls": page.id },
      make("div", { class: "toolbar-group" }, ...this.insertButtons()),
      make("div", { class: "toolbar-group" },
        mark("strong", "B", "Bold", "Mod+B"), mark("em", "I", "Italic", "Mod+I"), mark("underline", "U", "Underlined", "Mod+U"),
        this.linkButton = this.button("Link", `Link (${keys("Mod+K")})`, () => askLink(view), () => Boolean(commands.linkAt(view.state)))),
      make("div", { class: "toolbar-group" },
        this.menuButton("Paragraph", "style", (button) => this.styleMenu(button)),
        this.menuButton("More", "more", (button) => this.moreMenu(button))),
      make("div", { class: "toolbar-group" },
        this.undoButton = this.button("↶", `Undo (${keys("Mod+Z")})`, () => commands.run(view, undo)),
        this.redoButton = this.button("↷", `Redo (${keys("Mod+Shift+Z")})`, () => commands.run(view, redo))));
    this.dom.addEventListener("keydown", (event) => this.step(event));
    this.buttons.forEach((button, index) => { button.tabIndex = index ? -1 : 0; });
  }

  insertButtons() {
    const { page } = this;
    if (page.isPlain) return [];
    const found = [this.menuButton(page.names.isForMany ? "Attribute" : "Insert a value", "value", (button) => this.valueMenu(button))];
    if (!page.names.isForMany) found.push(this.conditionButton = this.menuButton("Condition", "condition", (button) => this.condition(button)));
    if (page.has("rubric")) found.push(this.button("Rubric", "Insert the feedback of the rubric", () => insertRubric(page.view), null, "tool-value"));
    if (page.has("table")) found.push(this.button("Table of learners", "Insert a table of learners", () => chooseTable(page, null), null, "tool-value"));
    return found;
  }

  button(sign, label, run, isOn = null, more = "") {
    const button = make("button", { type: "button", class: `tool ${more}`, "aria-label": label, title: label,
      on: { mousedown: (event) => event.preventDefault(), click: run } }, sign);
    button.isOn = isOn;
    this.buttons.push(button);
    return button;
  }

  menuButton(words, name, open) {
    const button = this.button(`${words} ▾`, words, () => open(button), null, `tool-${name}`);
    button.setAttribute("aria-haspopup", "menu");
    return button;
  }

  valueMenu(button) {
    const { names, view } = this.page;
    openMenu(button, "Insert a value", names.values.map((one) => ({
      label: one.name, run: () => commands.insertValue(view, quoted(one.name)),
    })));
  }

  condition(button) {
    const { view } = this.page;
    const found = commands.conditionAt(view.state);
    if (found && view.state.selection.empty) conditionMenu(this.page, button, found);
    else testMenu(this.page, "Show this only if", button, (test) => commands.wrapInCondition(view, test));
  }

  styleMenu(button) {
    const { view } = this.page;
    const style = (label, name) => ({ label, run: () => commands.run(view, commands.setStyle(name)) });
    openMenu(button, "Paragraph", [
      style("Text", "text"), style("Large heading", "1"), style("Heading", "2"), style("Small heading", "3"), style("Fixed width", "pre"), "-",
      { label: "Bulleted list", run: () => commands.run(view, commands.toggleList("bullet_list")) },
      { label: "Numbered list", run: () => commands.run(view, commands.toggleList("ordered_list")) },
      { label: "Quotation", run: () => commands.run(view, commands.toggleQuote) },
    ]);
  }

  // In a mail each learner's own, by which they come in without a password.
  linkMenu(button) {
    const { names, view } = this.page;
    openMenu(button, "Link to", names.links.map((one) => ({
      label: one.title, run: () => commands.setLink(view, `{{ ${quoted(one.name)} }}`, one.title),
    })));
  }

  moreMenu(button) {
    const { names, view } = this.page;
    openMenu(button, "More", [
      { label: "Picture…", run: () => askPicture(this.page) },
      ...(names.links.length ? [{ label: "Link to a page or form…", hint: "each learner’s own", run: () => this.linkMenu(button) }] : []),
      { label: "Table", hint: "3 × 3", run: () => commands.insertTable(view, 3, 3) },
      { label: "Line", run: () => commands.run(view, (state, dispatch) => {
        dispatch(state.tr.replaceSelectionWith(schema.nodes.horizontal_rule.create()));
      }) },
      { label: "Crossed out", run: () => commands.run(view, commands.toggle("strike")) },
    ]);
  }

  step(event) {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") { event.preventDefault(); this.page.view.focus(); }
    if (!move) return;
    event.preventDefault();
    const active = this.buttons.filter((button) => !button.disabled);
    const next = active.at((active.indexOf(document.activeElement) + move) % active.length);
    this.buttons.forEach((button) => { button.tabIndex = button === next ? 0 : -1; });
    next.focus();
  }

  focus() { this.buttons.find((button) => button.tabIndex === 0).focus(); }

  // Called after every change of text or selection.
  update(state) {
    for (const button of this.buttons) if (button.isOn) button.setAttribute("aria-pressed", String(button.isOn()));
    this.undoButton.disabled = !undoDepth(state);
    this.redoButton.disabled = !redoDepth(state);
    if (this.buttons.every((button) => button.tabIndex !== 0 || button.disabled)) this.buttons[0].tabIndex = 0;
    if (!this.conditionButton) return;
    const found = commands.conditionAt(state);
    const isIn = Boolean(found) && state.selection.empty;
    this.conditionButton.classList.toggle("is-on", isIn);
    const label = isIn ? "Condition of this part: change it" : "Condition: show this part only if…";
    this.conditionButton.setAttribute("aria-label", label);
    this.conditionButton.title = label;
  }
}

export async function askLink(view) {
  const href = commands.linkAt(view.state);
  const isNew = view.state.selection.empty && !href;
  const fields = [{ name: "href", label: "Address", value: href, placeholder: "https://…", required: true,
    hint: "A web address or mailto:…; it may hold values, such as https://uni.example/?id={{ student id }}." }];
  if (isNew) fields.push({ name: "words", label: "Words to show" });
  const answer = await ask("Link", fields, "OK", href ? "Remove the link" : "");
  if (!answer) { view.focus(); return; }
  const typed = answer.href.trim();
  const address = /^(?:https?:\/\/|mailto:|\{)/i.test(typed) ? typed : typed.includes("@") && !typed.includes("/") ? `mailto:${typed}` : `https://${typed}`;
  commands.setLink(view, answer.isRemoved ? "" : address, answer.words?.trim());
}
