// The visual editor over the text's source: the hidden field keeps the source, which is what is saved.

import {
  baseKeymap, dropCursor, EditorState, EditorView, gapCursor, goToNextCell, history, InputRule, inputRules, keymap,
  liftListItem, NodeSelection, Plugin, redo, sinkListItem, splitListItem, tableEditing, undo, chainCommands, wrappingInputRule, closeHistory,
} from "../../vendor/prosemirror.js";
import { make } from "../rules_values.js";
import * as commands from "./commands.js";
import { insertList } from "./insert.js";
import { Names } from "./names.js";
import { cleanPasted } from "./paste.js";
import { takePicture } from "./pictures.js";
import { read, Unreadable } from "./read.js";
import { schema, toDocument } from "./schema.js";
import { chooseTable, isTable, TagView } from "./reports.js";
import { askLink, Toolbar } from "./toolbar.js";
import { BranchView, chooseValue, conditionMenu, testMenu, ValueView } from "./views.js";
import { write } from "./write.js";

const { nodes } = schema;

const typedValue = new InputRule(/\{\{\s*([^{}]+?)\s*\}\}$/, (state, match, start, end) => state.tr.replaceWith(
  start, end, nodes.value.create({ source: match[1] }, null, state.doc.resolve(start).marks()),
));

// Elements and looks that the visual editor would lose; then only the source is shown, unless somebody says otherwise.
function lost(text, again) {
  const count = (html) => {
    const found = new Map();
    for (const { nodeName, dataset } of read(html).querySelectorAll("*")) {
      const same = { B: "STRONG", I: "EM", INS: "U", DEL: "S", STRIKE: "S" }[nodeName] ?? nodeName;
      if (["P", "DIV", "SPAN", "TBODY", "FONT", "STRONG", "EM", "U", "S"].includes(same)) continue;
      found.set(same, (found.get(same) ?? 0) + 1);
      if (dataset.style) found.set("style", (found.get("style") ?? 0) + 1);
    }
    return found;
  };
  const [before, after] = [count(text), count(again)];
  return [...before].filter(([name, times]) => (after.get(name) ?? 0) < times).map(([name]) => name.toLowerCase());
}

export class MessageEditor {
  constructor(root) {
    this.root = root;
    this.field = root.querySelector("textarea");
    this.names = new Names(JSON.parse(root.dataset.names));
    this.notice = make("div", { class: "editor-notice", role: "status" });
    this.sourceButton = make("button", { type: "button", class: "btn btn-sm btn-link source-toggle", on: { click: () => this.toggleSource() } });
    this.box = make("div", { class: "editor" });
    this.mount = make("div", { class: "editor-mount" });
    root.prepend(this.notice, this.box);
    root.append(this.sourceButton);
    this.makeView();
    this.showVisual({ isFirst: true });
    this.field.addEventListener("input", () => this.announce());
  }

  get id() { return this.root.dataset.id ?? "message-text"; }

  // A plain text has neither values nor conditions; one for many readers has attributes and tables.
  get isPlain() { return "plain" in this.root.dataset; }

  get label() {
    const { label = "Text of the message" } = this.root.dataset;
    return `${label}. ${this.isPlain ? "" : this.names.isForMany ? "Type { for an attribute; " : "Type { for a value, / for a condition; "}Alt F10 leads to the toolbar.`;
  }

  // The tags of its own that the text may have: "rubric", "table".
  has(tag) { return (this.root.dataset.tags ?? "").split(" ").includes(tag); }

  get canMakeConditions() { return Boolean(this.root.dataset.newCondition); }

  makeView() {
    this.view = new EditorView(this.mount, {
      state: this.stateOf(""),
      attributes: { class: "message-text", id: this.id, role: "textbox", "aria-multiline": "true",
        "aria-label": this.label, "aria-describedby": this.field.getAttribute("aria-describedby") ?? "" },
      nodeViews: {
        value: (node, view, getPos) => new ValueView(node, view, getPos, this.names),
        other: (node, view, getPos) => new TagView(node, view, getPos, this),
        branch: (node, view, getPos) => new BranchView(node, view, getPos, this),
        cond: () => { const dom = make("div", { class: "cond" }); return { dom, contentDOM: dom }; },
      },
      transformPastedHTML: cleanPasted,
      handlePaste: (_, event) => !event.clipboardData?.types.includes("text/html") && takePicture(this, event.clipboardData),
      handleDrop: (_, event) => takePicture(this, event.dataTransfer),
      handleDOMEvents: { click: (_, event) => { if (event.target.closest("a")) event.preventDefault(); return false; } },
      dispatchTransaction: (tr) => this.changed(tr),
    });
    this.toolbar = new Toolbar(this);
    this.box.append(this.toolbar.dom, this.mount);
  }

  stateOf(text) {
    return EditorState.create({ doc: text.trim() ? toDocument(read(text)) : toDocument(read("<p></p>")), plugins: this.plugins() });
  }

  plugins() {
    const item = nodes.list_item;
    return [
      insertList(this), new Plugin({ appendTransaction: commands.stayInPart, props: { handleTextInput: commands.typeOver } }),
      inputRules({ rules: [typedValue, wrappingInputRule(/^\s*[-*]\s$/, nodes.bullet_list), wrappingInputRule(/^1[.)]\s$/, nodes.ordered_list)] }),
      keymap({
        "Mod-z": undo, "Mod-y": redo, "Mod-Shift-z": redo, "Mod-b": commands.toggle("strong"), "Mod-i": commands.toggle("em"),
        "Mod-u": commands.toggle("underline"), "Mod-k": (_, __, view) => { askLink(view); return true; },
        "Alt-F10": () => { this.toolbar.focus(); return true; }, "Mod-Enter": (state, dispatch) => commands.leaveBlock(state, dispatch), Escape: commands.selectBlock,
        ArrowRight: commands.leavePart, End: commands.leavePart,
        Enter: chainCommands(this.openSelected, commands.leaveByEmptyLine, splitListItem(item)), "Shift-Enter": (state, dispatch) => {
          dispatch?.(state.tr.replaceSelectionWith(nodes.hard_break.create(), true).scrollIntoView());
          return true;
        },
        // Tab leaves the text, but for lists and tables, where it means something.
        Tab: chainCommands(goToNextCell(1), sinkListItem(item)), "Shift-Tab": chainCommands(goToNextCell(-1), liftListItem(item)),
      }),
      keymap(baseKeymap), history(), dropCursor({ class: "drop-cursor", color: false }), gapCursor(), tableEditing(),
    ];
  }

  // Enter on a chosen chip or condition opens what can be done with it.
  openSelected = (state) => {
    const { selection } = state;
    if (!(selection instanceof NodeSelection)) return false;
    if (selection.node.type === nodes.other && isTable(selection.node.attrs.source)) { chooseTable(this, selection.from); return true; }
    if (selection.node.type === nodes.value) { chooseValue(this.view, selection.from, this.names); return true; }
    if (selection.node.type === nodes.cond) {
      this.view.nodeDOM(selection.from).querySelector(".branch-head").click();
      return true;
    }
    return false;
  };

  changed(tr) {
    this.show(this.view.state.apply(tr));
    if (!tr.docChanged) return;
    this.field.value = write(this.view.state.doc);
    this.announce();
  }

  show(state) {
    this.view.updateState(state);
    this.toolbar.update(state);
    this.mount.classList.toggle("is-empty", !write(state.doc));
  }

  // Says something above the text until something else is said.
  tell(message) { this.notice.replaceChildren(...(message ? [make("p", { class: "note" }, message)] : [])); }

  announce() { this.root.dispatchEvent(new CustomEvent("text-change", { bubbles: true })); }

  // -- source and visual

  get isSource() { return this.root.dataset.mode === "source"; }

  showVisual({ isFirst = false, evenIfLost = false } = {}) {
    const text = this.field.value;
    let state;
    try {
      state = this.stateOf(text);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      this.showSource(`${error.message} It can be changed in the source below.`);
      return;
    }
    const gone = evenIfLost ? [] : lost(text, write(state.doc));
    if (gone.length) {
      this.showSource(`The visual editor can’t keep everything in this text (${gone.join(", ")}).`, () => this.showVisual({ evenIfLost: true }));
      return;
    }
    if (isFirst) this.show(state);
    else if (write(state.doc) !== write(this.view.state.doc)) this.replaceAll(state.doc);
    this.root.dataset.mode = "visual";
    this.sourceButton.textContent = "Show the source";
    this.notice.replaceChildren();
    if (!isFirst) this.view.focus();
  }

  showSource(why = "", goOn = null) {
    this.root.dataset.mode = "source";
    this.sourceButton.textContent = "Back to the visual editor";
    this.notice.replaceChildren(...(why ? [make("p", { class: "note note-warn" }, why,
      goOn ? make("button", { type: "button", class: "btn btn-sm btn-link", on: { click: goOn } }, "Open it anyway") : "")] : []));
  }

  toggleSource() {
    if (this.isSource) this.showVisual();
    else { this.showSource(); this.field.focus(); }
  }

  // Shows another text, e.g. the one of somebody else; one step of undo.
  replaceText(text) {
    this.field.value = text;
    if (this.isSource) return;
    try {
      this.replaceAll(this.stateOf(text).doc);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      this.showSource(error.message);
    }
  }

  replaceAll(doc) {
    const tr = closeHistory(this.view.state.tr);
    this.view.dispatch(tr.replaceWith(0, tr.doc.content.size, doc.content));
  }

  setNames(data) {
    this.names.set(data);
    const { state } = this.view;
    this.view.setProps({ nodeViews: { ...this.view.props.nodeViews } });  // draws chips and heads again
    this.toolbar.update(state);
  }

  // Puts the cursor of the source where a problem is.
  goTo(line, column) {
    if (!this.isSource) return;
    const lines = this.field.value.split("\n");
    const at = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
    this.field.focus();
    this.field.setSelectionRange(at, at);
  }

  // -- what menus ask for

  conditionMenu(anchor, found) { conditionMenu(this, anchor, found); }

  chooseTest(title, anchor, choose, current = "") { testMenu(this, title, anchor, choose, current); }

  openCondition(id) { this.root.dispatchEvent(new CustomEvent("open-condition", { bubbles: true, detail: { id } })); }

  // The panel opens for a new condition; `choose` is called with it when it has been saved.
  newCondition(choose) { this.root.dispatchEvent(new CustomEvent("open-condition", { bubbles: true, detail: { id: null, choose } })); }
}
