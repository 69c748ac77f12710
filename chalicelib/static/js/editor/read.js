// From a text to the tree of the page: tags become elements, conditions wrap what they are about.
//
// A condition around blocks becomes <div data-cond><div data-branch …>; around words <span data-only …>; on list items
// and table rows an attribute. All branches of one `if` share a chain, [[kind, test], …], so that none is lost when the
// part it shows is empty. What can't be shown so is refused in words (Unreadable); the source view stays.

import { escapeAttribute, inert, replaceTags } from "./tags.js";

export class Unreadable extends Error {}

const BLOCKS = "P,DIV,H1,H2,H3,H4,H5,H6,UL,OL,TABLE,BLOCKQUOTE,PRE,HR,CENTER,DL";
const ROWS = new Set(["TABLE", "TBODY", "THEAD", "TFOOT"]);
const LISTS = new Set(["UL", "OL"]);
let serial = 0;

// Conditions need ids of their own: two of them may say the same and still be two.
export const newId = () => `i${Date.now().toString(36)}${(serial += 1).toString(36)}`;

const MARKERS = new Set(["if", "elif", "else", "endif"]);
const isMarker = (node) => node.nodeName === "TEMPLATE" && node.hasAttribute("data-t");
const isBlank = (node) => node.nodeType === Node.TEXT_NODE && !node.data.trim();
const isBlock = (node) => node.nodeType === Node.ELEMENT_NODE && (node.matches(BLOCKS) || node.hasAttribute("data-cond"));

function marked(text) {
  return replaceTags(inert(text), ({ kind, inner }) => {
    if (kind === "html") return inner;
    if (MARKERS.has(kind)) return `<template data-t="${kind}" data-e="${escapeAttribute(inner)}"></template>`;
    return `<span data-${kind}="${escapeAttribute(inner)}"></span>`;
  });
}

export function read(text) {
  const { body } = new DOMParser().parseFromString(`<!doctype html><body>${marked(text)}`, "text/html");
  for (const gone of body.querySelectorAll("noscript,iframe,object,svg,math,title")) gone.remove();
  freeLonelyMarkers(body);
  for (const group of groupsOf(body)) wrap(body, hoisted(group));
  return body;
}

// A paragraph that holds nothing but markers is those markers.
function freeLonelyMarkers(body) {
  for (const p of [...body.querySelectorAll("p")]) {
    const inside = [...p.childNodes].filter((node) => !isBlank(node) && node.nodeName !== "BR");
    if (inside.length && inside.every(isMarker)) p.replaceWith(...inside);
  }
}

// Inner conditions come before those around them.
function groupsOf(body) {
  const done = [];
  const open = [];
  for (const marker of body.querySelectorAll("template[data-t]")) {
    const kind = marker.dataset.t;
    if (kind === "if") { open.push([marker]); continue; }
    if (!open.length) throw new Unreadable(`There is an “${kind}” without its “if”.`);
    open.at(-1).push(marker);
    if (kind === "endif") done.push(open.pop());
  }
  if (open.length) throw new Unreadable("An “if” is never closed: write {% endif %} where its part ends.");
  return done;
}

// Markers at the very edge of an element can stand outside of it: <p>{% if x %}a</p><p>b{% endif %}</p>.
function hoisted(group) {
  const depth = (node) => { let count = 0; for (let n = node; n.parentNode; n = n.parentNode) count += 1; return count; };
  while (new Set(group.map((marker) => marker.parentNode)).size > 1) {
    const deepest = group.reduce((one, other) => (depth(other) > depth(one) ? other : one));
    const parent = deepest.parentNode;
    const before = [...parent.childNodes].slice(0, [...parent.childNodes].indexOf(deepest)).every(isBlank);
    const after = [...parent.childNodes].slice([...parent.childNodes].indexOf(deepest) + 1).every(isBlank);
    if (before && deepest.dataset.t !== "endif") parent.before(deepest);
    else if (after && deepest.dataset.t !== "if") parent.after(deepest);
    else {
      throw new Unreadable(`The condition “${group[0].dataset.e}” begins in one paragraph, cell or list item and ends `
        + "inside another one.");
    }
  }
  return group;
}

function wrap(body, group) {
  const [first] = group;
  const parent = first.parentNode;
  const chain = group.slice(0, -1).map((marker) => [marker.dataset.t, marker.dataset.e]);
  const parts = group.slice(0, -1).map((marker, index) => {
    const nodes = [];
    for (let node = marker.nextSibling; node !== group[index + 1]; node = node.nextSibling) nodes.push(node);
    return nodes;
  });
  if (ROWS.has(parent.nodeName)) mark(parts, chain, "TR");
  else if (LISTS.has(parent.nodeName)) mark(parts, chain, "LI");
  else if (parent.nodeName === "TR") throw new Unreadable("A condition around cells of a table can only be shown as source.");
  else if (isAroundBlocks(body, parent, group, parts)) asBlock(first, parts, chain);
  else asWords(parts, chain);
  for (const marker of group) marker.remove();
}

function isAroundBlocks(body, parent, group, parts) {
  if (parts.flat().some(isBlock)) return true;
  const container = parent === body || parent.hasAttribute("data-branch") || parent.nodeName === "BLOCKQUOTE";
  const beside = (node, step) => { let next = node[step]; while (next && isBlank(next)) next = next[step]; return next; };
  const isAlone = [beside(group[0], "previousSibling"), beside(group.at(-1), "nextSibling")]
    .every((node) => !node || isBlock(node) || isMarker(node));
  return container && isAlone;
}

function mark(parts, chain, name) {
  const id = newId();
  parts.forEach((nodes, index) => {
    for (const node of nodes) {
      if (node.nodeName === name) {
        if (node.dataset.chain) throw new Unreadable("A list item or table row can have one condition.");
        Object.assign(node.dataset, { chain: JSON.stringify(chain), cid: id, branch: String(index) });
      } else if (!isBlank(node)) throw new Unreadable("Inside a list or table, a condition goes around whole items or rows.");
    }
  });
}

function asBlock(before, parts, chain) {
  const document = before.ownerDocument;
  const cond = document.createElement("div");
  cond.dataset.cond = "";
  parts.forEach((nodes, index) => {
    const branch = document.createElement("div");
    Object.assign(branch.dataset, { branch: chain[index][0], test: chain[index][1] });
    branch.append(...nodes);
    cond.append(branch);
  });
  before.before(cond);
}

function asWords(parts, chain) {
  const id = newId();
  parts.forEach((nodes, index) => {
    const shown = nodes.filter((node) => node.nodeType === Node.TEXT_NODE || node.nodeType === Node.ELEMENT_NODE);
    if (!shown.length) return;
    const span = shown[0].ownerDocument.createElement("span");
    Object.assign(span.dataset, { only: "", chain: JSON.stringify(chain), cid: id, branch: String(index) });
    shown[0].before(span);
    span.append(...nodes);
  });
  // With every part empty nothing is left to hang the condition on, and nothing is shown to anybody either.
}
