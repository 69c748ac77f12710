// The list that opens at the cursor when { or / is typed: values to insert, conditions to wrap the paragraph in.

import { Plugin, PluginKey } from "../../vendor/prosemirror.js";
import { make } from "../rules_values.js";
import * as commands from "./commands.js";
import { home, place } from "./menu.js";
import { quoted } from "./tags.js";

const key = new PluginKey("insert");
const MAX_SHOWN = 12;

const TRIGGER = /(?<sign>\{\{?)(?<query>[^{}\ufffc]*)$|(?<=^|[\s\ufffc])(?<slash>\/)(?<words>(?:[^\s/\ufffc][^/\ufffc]*)?)$/;

// After a brace, or a slash at the beginning of a word: what was typed so far and where it begins, or null.
function queryAt(state) {
  const { $from, empty } = state.selection;
  if (!empty || !$from.parent.isTextblock) return null;
  const before = $from.parent.textBetween(Math.max(0, $from.parentOffset - 60), $from.parentOffset, null, "\ufffc");
  const found = TRIGGER.exec(before);
  if (!found) return null;
  return { query: (found.groups.query ?? found.groups.words).trim(), from: $from.pos - found[0].length, to: $from.pos };
}

export function insertList(page) {
  return new Plugin({
    key,
    state: { init: () => ({ dismissed: -1, isTyped: false }), apply: (tr, before) => {
      const meta = tr.getMeta(key);
      if (meta) return { ...before, ...meta };
      return tr.docChanged ? { dismissed: tr.mapping.map(before.dismissed), isTyped: true } : before;
    } },
    view: (view) => new List(view, page),
    props: { handleKeyDown: (view, event) => page.list?.handle(event) ?? false },
  });
}

class List {
  constructor(view, page) {
    Object.assign(this, { view, page, at: 0, items: [] });
    page.list = this;
    this.box = make("div", { class: "editor-menu insert-list", role: "listbox", id: "insert-list", "aria-label": "Insert", hidden: true });
    home().append(this.box);
    view.dom.addEventListener("blur", () => this.hide());
  }

  update(view) {
    const found = queryAt(view.state);
    const { dismissed, isTyped } = key.getState(view.state);
    if (!found || !isTyped || found.from === dismissed || !view.hasFocus()) { this.hide(); return; }
    this.range = found;
    this.fill(found.query.toLowerCase());
  }

  fill(query) {
    const matches = (one) => one.name.toLowerCase().includes(query);
    const values = this.page.names.values.filter(matches)
      .map((one) => ({ label: one.name, kind: "value", run: () => commands.insertValue(this.view, quoted(one.name), this.range) }));
    const conditions = this.page.names.tests.filter(matches)
      .map((one) => ({ label: one.name, kind: "only if", run: () => this.wrap(quoted(one.name)) }));
    this.items = [...values.slice(0, MAX_SHOWN - Math.min(conditions.length, 4)), ...conditions].slice(0, MAX_SHOWN);
    if (!this.items.length) { this.hide(); return; }
    this.at = Math.min(this.at, this.items.length - 1);
    this.draw();
  }

  draw() {
    this.box.replaceChildren(...this.items.map((item, index) => make("div", {
      role: "option", id: `insert-${index}`, "aria-selected": String(index === this.at),
      on: { mousedown: (event) => { event.preventDefault(); this.choose(index); } },
    }, item.label, make("span", { class: "editor-menu-hint" }, item.kind))));
    this.box.hidden = false;
    const { left, bottom, top } = this.view.coordsAtPos(this.range.from);
    place(this.box, { left, bottom, top });
    this.box.querySelector("[aria-selected=true]").scrollIntoView({ block: "nearest" });
    this.view.dom.setAttribute("aria-controls", "insert-list");
    this.view.dom.setAttribute("aria-activedescendant", `insert-${this.at}`);
  }

  hide() {
    this.box.hidden = true;
    this.at = 0;
    this.view.dom.removeAttribute("aria-activedescendant");
    this.view.dom.removeAttribute("aria-controls");
  }

  handle(event) {
    if (this.box.hidden) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { this.at = (this.at + step + this.items.length) % this.items.length; this.draw(); return true; }
    if (event.key === "Enter" || event.key === "Tab") { this.choose(this.at); return true; }
    if (event.key === "Escape") {
      this.view.dispatch(this.view.state.tr.setMeta(key, { dismissed: this.range.from }));
      return true;
    }
    return false;
  }

  choose(index) {
    const item = this.items[index];
    this.hide();
    item.run();
  }

  // The slash and what was typed after it go away first.
  wrap(test) {
    const { from, to } = this.range;
    this.view.dispatch(this.view.state.tr.delete(from, to));
    commands.wrapInCondition(this.view, test);
  }

  destroy() { this.box.remove(); }
}
