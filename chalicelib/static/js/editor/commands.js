// What the toolbar, the menus and the keys do. Each command is one step of undo.

import {
  closeHistory, NodeSelection, setBlockType, TextSelection, toggleMark, wrapIn, wrapInList, lift, liftListItem,
} from "../../vendor/prosemirror.js";
import { newId } from "./read.js";
import { schema } from "./schema.js";

const { nodes, marks } = schema;

// Changes `state` by `change(tr)`, apart from what was typed just before.
function apply(view, change) {
  const tr = closeHistory(view.state.tr);
  if (change(tr) === false) return false;
  view.dispatch(tr.scrollIntoView());
  view.focus();
  return true;
}

export function run(view, command) {
  command(view.state, (tr) => view.dispatch(closeHistory(tr).scrollIntoView()), view);
  view.focus();
}

export const insertValue = (view, source, range) => apply(view, (tr) => {
  const { from, to } = range ?? tr.selection;
  const kept = tr.doc.resolve(from).marks();
  tr.replaceWith(from, to, nodes.value.create({ source }, null, kept));
});

// -- conditions

// The condition the cursor is in: {kind: "block" | "words" | "item", …}, the innermost one, or null.
export function conditionAt(state) {
  const { $from } = state.selection;
  const mark = [...($from.marks()), ...($from.nodeAfter?.marks ?? [])].filter((one) => one.type === marks.only).at(-1);
  if (mark) return { kind: "words", only: mark.attrs };
  for (let depth = $from.depth; depth > 0; depth -= 1) {
    const node = $from.node(depth);
    if (node.type === nodes.branch) return { kind: "block", pos: $from.before(depth), node };
    if (node.attrs.only) return { kind: "item", pos: $from.before(depth), only: node.attrs.only };
  }
  return null;
}

// The list item or table row around the cursor.
function itemAround($pos) {
  for (let depth = $pos.depth; depth > 0; depth -= 1) {
    const { type } = $pos.node(depth);
    if (type === nodes.list_item || type === nodes.table_row) return depth;
    if (type === nodes.branch) return null;
  }
  return null;
}

// Shows what is selected, or the paragraph, list item or row the cursor is in, only where `test` holds.
export const wrapInCondition = (view, test) => apply(view, (tr) => {
  const { $from, $to, empty, from, to } = tr.selection;
  const isSomeWords = !empty && $from.sameParent($to) && $from.parent.inlineContent
    && !(from === $from.start() && to === $from.end());
  if (isSomeWords) {
    tr.addMark(from, to, marks.only.create({ chain: [["if", test]], id: newId(), branch: 0 }));
    return true;
  }
  const depth = itemAround($from);
  if (depth && $to.depth >= depth && $to.node(depth - 1) === $from.node(depth - 1)) return markItems(tr, $from, $to, depth, test);
  const range = $from.blockRange($to);
  if (!range) return false;
  tr.wrap(range, [{ type: nodes.cond }, { type: nodes.branch, attrs: { kind: "if", test } }]);
  return true;
});

function markItems(tr, $from, $to, depth, test) {
  const parent = $from.node(depth - 1);
  const id = newId();
  let pos = $from.start(depth - 1);
  parent.forEach((item, _, index) => {
    const isIn = index >= $from.index(depth - 1) && index <= $to.index(depth - 1);
    if (isIn) tr.setNodeAttribute(pos, "only", { chain: [["if", test]], id, branch: 0 });
    pos += item.nodeSize;
  });
  return true;
}

// Calls `edit` with every place that carries the condition `id`, on words as well as on items.
function rechain(tr, id, edit) {
  tr.doc.descendants((node, pos) => {
    const mark = node.marks.find((one) => one.type === marks.only && one.attrs.id === id);
    if (mark) {
      tr.removeMark(pos, pos + node.nodeSize, mark);
      const next = edit(mark.attrs);
      if (next) tr.addMark(pos, pos + node.nodeSize, marks.only.create(next));
    }
    if (node.attrs.only?.id === id) tr.setNodeAttribute(pos, "only", edit(node.attrs.only));
  });
}

export const setTest = (view, found, test) => apply(view, (tr) => {
  if (found.kind === "block") {
    tr.setNodeAttribute(found.pos, "test", test);
    return;
  }
  const { id, branch } = found.only;
  rechain(tr, id, (only) => ({ ...only, chain: only.chain.map((step, at) => (at === branch ? [step[0], test] : step)) }));
});

// Adds the part for everybody else ("else") or for those of the rest for whom another test holds ("elif").
export const addBranch = (view, found, kind, test = "") => apply(view, (tr) => {
  if (found.kind === "block") return addBlockBranch(tr, found.pos, kind, test);
  const { chain, id } = found.only;
  const at = kind === "else" || !hasElse(chain) ? chain.length : chain.length - 1;
  const longer = [...chain.slice(0, at), [kind, test], ...chain.slice(at)];
  let end = null;
  let last = null;
  tr.doc.descendants((node, pos) => {
    const isIn = node.attrs.only?.id === id || node.marks.some((one) => one.type === marks.only && one.attrs.id === id);
    const branch = node.attrs.only?.branch ?? node.marks.find((one) => one.type === marks.only && one.attrs.id === id)?.attrs.branch;
    if (isIn && branch < at) { end = pos + node.nodeSize; last = node; }
  });
  rechain(tr, id, (only) => ({ ...only, chain: longer, branch: only.branch >= at ? only.branch + 1 : only.branch }));
  const only = { chain: longer, id, branch: at };
  if (found.kind === "words") {
    const words = kind === "else" ? "other words" : "these words";
    const others = last.marks.filter((one) => one.type !== marks.only || one.attrs.id !== id);
    const text = schema.text(words, [...others, marks.only.create(only)]);
    tr.insert(end, text);
    tr.setSelection(TextSelection.create(tr.doc, end, end + words.length));
    return true;
  }
  tr.insert(end, last.type.createAndFill({ ...last.attrs, only }, emptyLike(last)));
  tr.setSelection(TextSelection.near(tr.doc.resolve(end + 1)));
  return true;
});

// A new row has as many cells as the one before it.
function emptyLike(node) {
  if (node.type !== nodes.table_row) return null;
  const cells = [];
  node.forEach((cell) => cells.push(cell.type.createAndFill(cell.attrs)));
  return cells;
}

export const hasElse = (chain) => chain.at(-1)[0] === "else";

function addBlockBranch(tr, pos, kind, test) {
  const $pos = tr.doc.resolve(pos);
  const cond = $pos.parent;
  let at = $pos.end();
  if (kind === "elif" && cond.lastChild.attrs.kind === "else") at -= cond.lastChild.nodeSize;
  tr.insert(at, nodes.branch.createAndFill({ kind, test }));
  tr.setSelection(TextSelection.near(tr.doc.resolve(at + 1)));
  return true;
}

export const blockHasElse = (view, pos) => view.state.doc.resolve(pos).parent.lastChild.attrs.kind === "else";

// Takes one part away with its text; a condition without its first part goes on with the next test.
export const removeBranch = (view, pos) => apply(view, (tr) => {
  const $pos = tr.doc.resolve(pos);
  const [cond, branch] = [$pos.parent, $pos.nodeAfter];
  const next = cond.maybeChild($pos.index() + 1);
  if (cond.childCount === 1 || (!$pos.index() && next.attrs.kind === "else")) {
    const shown = cond.childCount === 1 ? [] : [next.content];
    const start = $pos.before();
    if (shown.length) tr.replaceWith(start, start + cond.nodeSize, shown[0]);
    else tr.replaceWith(start, start + cond.nodeSize, nodes.paragraph.create());
    return;
  }
  tr.delete(pos, pos + branch.nodeSize);
  if (!$pos.index()) tr.setNodeAttribute(pos, "kind", "if");
});

// Takes the condition away; its text stays and everybody sees it.
export const unwrap = (view, found) => apply(view, (tr) => {
  if (found.kind !== "block") return rechain(tr, found.only.id, () => null);
  const $pos = tr.doc.resolve(found.pos);
  const cond = $pos.parent;
  const all = [];
  cond.forEach((branch) => branch.forEach((child) => all.push(child)));
  tr.replaceWith($pos.before(), $pos.before() + cond.nodeSize, all);
  return true;
});

// Enter on an empty last line leaves the block, as it leaves a list.
export function leaveByEmptyLine(state, dispatch) {
  const { $from, empty } = state.selection;
  const branch = $from.node(-1);
  const isLast = empty && $from.depth > 2 && branch.type === nodes.branch && !$from.parent.childCount
    && $from.index(-1) === branch.childCount - 1 && branch.childCount > 1 && $from.indexAfter(-2) === $from.node(-2).childCount;
  if (!isLast) return false;
  if (dispatch) leaveBlock(state, dispatch, state.tr.delete($from.before(), $from.after()));
  return true;
}

// Ctrl+Enter leaves the block: the cursor goes on behind it.
export function leaveBlock(state, dispatch, tr = state.tr) {
  const { $from } = state.selection;
  for (let depth = $from.depth; depth > 0; depth -= 1) {
    if ($from.node(depth).type !== nodes.cond) continue;
    if (dispatch) {
      closeHistory(tr);
      const after = tr.mapping.map($from.after(depth));
      if (!tr.doc.resolve(after).nodeAfter?.isTextblock) tr.insert(after, nodes.paragraph.create());
      dispatch(tr.setSelection(TextSelection.near(tr.doc.resolve(after + 1))).scrollIntoView());
    }
    return true;
  }
  return false;
}

// Esc selects the block the cursor is in, so that Delete or a copy takes it whole.
export function selectBlock(state, dispatch) {
  const { $from } = state.selection;
  for (let depth = $from.depth; depth > 0; depth -= 1) {
    if ($from.node(depth).type !== nodes.cond) continue;
    if (dispatch) dispatch(state.tr.setSelection(NodeSelection.create(state.doc, $from.before(depth))));
    return true;
  }
  return false;
}

// Who types over words of a part stays in it, and goes on in it; at its end new words are everybody's otherwise.
export function typeOver(view, from, to, text) {
  const kept = view.state.doc.resolve(from).nodeAfter?.marks ?? [];
  if (from === to || !marks.only.isInSet(kept)) return false;
  const tr = view.state.tr.replaceWith(from, to, schema.text(text, kept));
  tr.setSelection(TextSelection.create(tr.doc, from + text.length)).setStoredMarks(kept);
  view.dispatch(tr.scrollIntoView());
  return true;
}

export function stayInPart(transactions, before, after) {
  const { $from, empty } = after.selection;
  const only = before.storedMarks?.find((mark) => mark.type === marks.only);
  if (!only || after.storedMarks || !empty || !transactions.some((tr) => tr.docChanged)) return null;
  return only.isInSet($from.nodeBefore?.marks ?? []) ? after.tr.setStoredMarks(before.storedMarks) : null;
}

// → and End at the end of a part lead out of it: what is typed next is everybody's.
export function leavePart(state, dispatch) {
  if (state.storedMarks && marks.only.isInSet(state.storedMarks)) dispatch(state.tr.removeStoredMark(marks.only));
  return false;
}

// -- the usual things

export const toggle = (name) => toggleMark(marks[name]);

export function setStyle(name) {
  if (name === "text") return setBlockType(nodes.paragraph);
  if (name === "pre") return setBlockType(nodes.code_block);
  return setBlockType(nodes.heading, { level: Number(name) });
}

const isInside = (state, type) => {
  const { $from } = state.selection;
  for (let depth = $from.depth; depth > 0; depth -= 1) if ($from.node(depth).type === type) return true;
  return false;
};

export function toggleList(name) {
  return (state, dispatch) => (isInside(state, nodes[name])
    ? liftListItem(nodes.list_item)(state, dispatch) : wrapInList(nodes[name])(state, dispatch));
}

export function toggleQuote(state, dispatch) {
  return isInside(state, nodes.blockquote) ? lift(state, dispatch) : wrapIn(nodes.blockquote)(state, dispatch);
}

export const linkAt = (state) => {
  const { $from, empty } = state.selection;
  const at = empty ? $from.marks() : state.doc.resolve($from.pos).nodeAfter?.marks ?? [];
  return at.find((mark) => mark.type === marks.link)?.attrs.href ?? "";
};

export const setLink = (view, href, words) => apply(view, (tr) => {
  let { from, to } = tr.selection;
  if (from === to) [from, to] = aroundLink(tr.doc.resolve(from)) ?? [from, to];
  if (from === to) {
    if (!href) return false;
    tr.insert(from, schema.text(words || href));
    to = from + (words || href).length;
  }
  tr.removeMark(from, to, marks.link);
  if (href) tr.addMark(from, to, marks.link.create({ href }));
  tr.setSelection(TextSelection.near(tr.doc.resolve(to), -1));
  return true;
});

function aroundLink($pos) {
  const mark = $pos.marks().find((one) => one.type === marks.link);
  if (!mark) return null;
  let found = null;
  let start = $pos.start();
  $pos.parent.forEach((node) => {
    const end = start + node.nodeSize;
    if (mark.isInSet(node.marks)) found = [found && found[1] === start ? found[0] : start, end];
    start = end;
  });
  return found;
}

export const insertImage = (view, src, alt) => apply(view, (tr) => { tr.replaceSelectionWith(nodes.image.create({ src, alt })); });

export const insertTable = (view, rows, columns) => apply(view, (tr) => {
  const cells = (type) => Array.from({ length: columns }, () => type.createAndFill());
  const made = Array.from({ length: rows }, (_, index) => nodes.table_row.create(
    { section: "tbody" }, cells(index ? nodes.table_cell : nodes.table_header),
  ));
  const at = tr.selection.from;
  tr.replaceSelectionWith(nodes.table.create(null, made));
  tr.setSelection(TextSelection.near(tr.doc.resolve(at)));
});
