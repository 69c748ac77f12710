// From the document to the text that is stored. Styles and attributes are written as they were read.

import { escape, escapeAttribute } from "./tags.js";

const MARK_TAGS = { strong: "strong", em: "em", underline: "u", strike: "s", code: "code", sub: "sub", sup: "sup", small: "small" };

export function write(doc) {
  if (doc.childCount === 1 && doc.firstChild.isTextblock && !doc.firstChild.childCount) return "";
  return children(doc).filter(Boolean).join("\n");
}

const children = (node) => { const list = []; node.forEach((child) => list.push(child)); return list.map(block); };

function open(tag, attributes = {}) {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${escapeAttribute(String(value))}"`);
  return `<${tag}${written.join("")}>`;
}

const element = (tag, attributes, inside) => `${open(tag, attributes)}${inside}</${tag}>`;
const tagged = ([kind, test]) => `{% ${[kind, escape(test)].filter(Boolean).join(" ")} %}`;

function block(node) {
  const { attrs } = node;
  switch (node.type.name) {
    case "paragraph": return element(attrs.tag || "p", attrs.keep, inline(node));
    case "heading": return element(`h${attrs.level}`, attrs.keep, inline(node));
    case "code_block": return element("pre", attrs.keep, inline(node));
    case "blockquote": return element("blockquote", attrs.keep, `\n${children(node).join("\n")}\n`);
    case "division": return element("div", attrs.keep, `\n${children(node).join("\n")}\n`);
    case "horizontal_rule": return "<hr>";
    case "cond": return cond(node);
    case "bullet_list": return element("ul", attrs.keep, `\n${runs(node, (item) => element("li", item.attrs.keep, cellBody(item)))}\n`);
    case "ordered_list": return element("ol", attrs.keep, `\n${runs(node, (item) => element("li", item.attrs.keep, cellBody(item)))}\n`);
    case "table": return element("table", attrs.keep, `\n${sections(node)}\n`);
    default: throw new Error(`no way to write ${node.type.name}`);
  }
}

function cond(node) {
  const parts = [];
  node.forEach((branch) => parts.push(tagged([branch.attrs.kind, branch.attrs.test]), ...children(branch)));
  return [...parts, "{% endif %}"].join("\n");
}

// Text straight inside an item or a cell has no paragraph of its own; a list may follow it.
function cellBody(node) {
  const first = node.firstChild;
  const isBare = first?.type.name === "paragraph" && !first.attrs.tag && !Object.keys(first.attrs.keep).length;
  const written = children(node);
  if (isBare && node.childCount === 1) return inline(first);
  const onlyListsFollow = written.length === 2 && /_list$/.test(node.child(1).type.name);
  if (isBare && onlyListsFollow) return `${inline(first)}\n${written[1]}\n`;
  return `\n${written.join("\n")}\n`;
}

// Neighbours with one chain are the branches of one `if`, in their order.
function grouped(items, onlyOf) {
  const groups = [];
  for (const item of items) {
    const only = onlyOf(item);
    const last = groups.at(-1);
    const goesOn = last && (only ? last.only?.id === only.id && last.branch <= only.branch : !last.only);
    if (goesOn) {
      last.items.push(item);
      if (only) last.branch = only.branch;
    } else groups.push({ only, branch: only?.branch, items: [item] });
  }
  return groups;
}

function chained(chain, itemsOf, glue) {
  const last = chain.reduce((found, _, index) => (itemsOf(index).length ? index : found), -1);
  const parts = chain.slice(0, last + 1).flatMap((step, index) => [tagged(step), ...itemsOf(index)]);
  return [...parts, "{% endif %}"].join(glue);
}

function runs(node, writeItem) {
  const items = [];
  node.forEach((item) => items.push(item));
  return grouped(items, (item) => item.attrs.only).map(({ only, items: run }) => {
    if (!only) return run.map(writeItem).join("\n");
    return chained(only.chain, (index) => run.filter((item) => item.attrs.only.branch === index).map(writeItem), "\n");
  }).join("\n");
}

function sections(table) {
  const parts = [];
  table.forEach((row) => {
    if (parts.at(-1)?.[0] !== row.attrs.section) parts.push([row.attrs.section, []]);
    parts.at(-1)[1].push(row);
  });
  return parts.map(([section, rows]) => {
    const wrapper = { forEach: (call) => rows.forEach(call) };
    const written = runs(wrapper, (row) => {
      const cells = [];
      row.forEach((cell) => cells.push(writeCell(cell)));
      return element("tr", row.attrs.keep, cells.join(""));
    });
    return element(section, {}, `\n${written}\n`);
  }).join("\n");
}

function writeCell(cell) {
  const { colspan, rowspan, keep } = cell.attrs;
  const spans = { ...(colspan > 1 && { colspan }), ...(rowspan > 1 && { rowspan }) };
  return element(cell.type.name === "table_header" ? "th" : "td", { ...keep, ...spans }, cellBody(cell));
}

// -- words and their marks

function inline(node) {
  const items = [];
  node.forEach((child) => items.push({ node: child, marks: [...child.marks] }));
  return withConditions(items);
}

const onlyOf = ({ marks }) => marks.find((mark) => mark.type.name === "only");
const without = ({ node, marks }, mark) => ({ node, marks: marks.filter((other) => other !== mark) });

function withConditions(items) {
  return grouped(items, (item) => onlyOf(item)?.attrs).map(({ only, items: run }) => {
    if (!only) return withMarks(run);
    return chained(only.chain, (index) => {
      const part = run.filter((item) => onlyOf(item).attrs.branch === index).map((item) => without(item, onlyOf(item)));
      return part.length ? [withConditions(part)] : [];
    }, "");
  }).join("");
}

// Neighbours that share their outermost mark share its element.
function withMarks(items) {
  const parts = [];
  for (let start = 0; start < items.length;) {
    const [mark] = items[start].marks;
    let end = start + 1;
    while (mark && end < items.length && items[end].marks[0]?.eq(mark)) end += 1;
    const run = items.slice(start, end);
    parts.push(mark ? marked(mark, withMarks(run.map((item) => ({ ...item, marks: item.marks.slice(1) })))) : leaf(run[0].node));
    start = end;
  }
  return parts.join("");
}

function marked(mark, inside) {
  const { attrs, type } = mark;
  if (type.name === "link") return element("a", { href: attrs.href, ...attrs.keep }, inside);
  if (type.name === "styled") return element(attrs.tag, attrs.keep, inside);
  return element(MARK_TAGS[type.name], {}, inside);
}

function leaf({ type, attrs, text }) {
  if (type.name === "text") return escape(text).replace(/\u00a0/g, "&nbsp;");
  if (type.name === "value") return `{{ ${escape(attrs.source)} }}`;
  if (type.name === "other") return attrs.source;
  if (type.name === "hard_break") return "<br>";
  return open("img", { src: attrs.src, alt: attrs.alt, ...attrs.keep });
}
