// What a message can hold, as ProseMirror sees it, and how the elements that `read` made become that.

import { DOMParser as Parser, Schema } from "../../vendor/prosemirror.js";
import { splitValue } from "./tags.js";

// Attributes that mails may have (the server cleans once more); everything else is dropped when a text is read.
const KEPT = new Set(["style", "dir", "lang", "title", "align", "valign", "width", "height", "bgcolor", "border",
  "cellpadding", "cellspacing", "role", "scope", "start", "type", "color", "face", "size"]);

function kept(dom, ...but) {
  const found = {};
  for (const { name, value } of dom.attributes) {
    const plain = name === "data-style" ? "style" : name;
    if (KEPT.has(plain) && !but.includes(plain)) found[plain] = value;
  }
  return found;
}

const condition = (dom) => (dom.dataset.chain
  ? { chain: JSON.parse(dom.dataset.chain), id: dom.dataset.cid, branch: Number(dom.dataset.branch) } : null);

export const testWords = ([kind, test]) => (kind === "else" ? "otherwise" : `if ${test}`);

// Shown beside words, list items and rows that only some learners see.
export const conditionLabel = (only) => {
  const [kind, test] = only.chain[only.branch];
  return kind === "else" ? `otherwise (not ${only.chain[0][1]})` : test;
};

// The data is for the clipboard: what is pasted is read again.
const conditionData = (only) => ({
  "data-chain": JSON.stringify(only.chain), "data-cid": only.id, "data-branch": only.branch, "data-label": conditionLabel(only),
});

function shown(attributes, only) {
  return only ? { ...attributes, ...conditionData(only), class: "only-item" } : attributes;
}

function hasBlocks(dom) {
  return [...dom.children].some((child) => child.matches("p,div,h1,h2,h3,h4,h5,h6,ul,ol,table,blockquote,pre,hr"));
}

const cell = (tag, header) => ({
  content: "block+", isolating: true, tableRole: header ? "header_cell" : "cell",
  attrs: { colspan: { default: 1 }, rowspan: { default: 1 }, colwidth: { default: null }, keep: { default: {} } },
  parseDOM: [{ tag, getAttrs: (dom) => ({
    colspan: Number(dom.getAttribute("colspan")) || 1, rowspan: Number(dom.getAttribute("rowspan")) || 1, keep: kept(dom),
  }) }],
  toDOM: ({ attrs }) => [tag, { ...attrs.keep, colspan: attrs.colspan, rowspan: attrs.rowspan }, 0],
});

const nodes = {
  doc: { content: "block+" },
  // `tag` is "" where the text had no element of its own, as in <li>text</li>.
  paragraph: {
    content: "inline*", group: "block", attrs: { tag: { default: "" }, keep: { default: {} } },
    parseDOM: [
      { tag: "p", getAttrs: (dom) => ({ tag: "p", keep: kept(dom) }) },
      { tag: "div:not([data-cond]):not([data-branch])", priority: 60,
        getAttrs: (dom) => (hasBlocks(dom) ? false : { tag: "div", keep: kept(dom) }) },
    ],
    toDOM: (node) => ["p", node.attrs.keep, 0],
  },
  heading: {
    content: "inline*", group: "block", defining: true, attrs: { level: { default: 2 }, keep: { default: {} } },
    parseDOM: [1, 2, 3, 4, 5, 6].map((level) => ({ tag: `h${level}`, getAttrs: (dom) => ({ level, keep: kept(dom) }) })),
    toDOM: ({ attrs }) => [`h${attrs.level}`, attrs.keep, 0],
  },
  blockquote: {
    content: "block+", group: "block", defining: true, attrs: { keep: { default: {} } },
    parseDOM: [{ tag: "blockquote", getAttrs: (dom) => ({ keep: kept(dom) }) }], toDOM: ({ attrs }) => ["blockquote", attrs.keep, 0],
  },
  division: {
    content: "block+", group: "block", attrs: { keep: { default: {} } },
    parseDOM: [{ tag: "div:not([data-cond]):not([data-branch])", priority: 40, getAttrs: (dom) => ({ keep: kept(dom) }) }],
    toDOM: ({ attrs }) => ["div", attrs.keep, 0],
  },
  code_block: {
    content: "inline*", group: "block", code: true, marks: "only", attrs: { keep: { default: {} } },
    parseDOM: [{ tag: "pre", preserveWhitespace: "full", getAttrs: (dom) => ({ keep: kept(dom) }) }],
    toDOM: ({ attrs }) => ["pre", attrs.keep, 0],
  },
  horizontal_rule: { group: "block", parseDOM: [{ tag: "hr" }], toDOM: () => ["hr"] },
  // isolating on both, or Backspace after the block would pull the next paragraph in as a branch without a test.
  cond: {
    content: "branch+", group: "block", defining: true, isolating: true,
    parseDOM: [{ tag: "div[data-cond]" }], toDOM: () => ["div", { "data-cond": "" }, 0],
  },
  branch: {
    content: "block+", isolating: true, attrs: { kind: { default: "if" }, test: { default: "" } },
    parseDOM: [{ tag: "div[data-branch]", getAttrs: (dom) => ({ kind: dom.dataset.branch, test: dom.dataset.test }) }],
    toDOM: ({ attrs }) => ["div", { "data-branch": attrs.kind, "data-test": attrs.test }, 0],
  },
  bullet_list: {
    content: "list_item+", group: "block", attrs: { keep: { default: {} } },
    parseDOM: [{ tag: "ul", getAttrs: (dom) => ({ keep: kept(dom) }) }], toDOM: ({ attrs }) => ["ul", attrs.keep, 0],
  },
  ordered_list: {
    content: "list_item+", group: "block", attrs: { keep: { default: {} } },
    parseDOM: [{ tag: "ol", getAttrs: (dom) => ({ keep: kept(dom) }) }], toDOM: ({ attrs }) => ["ol", attrs.keep, 0],
  },
  list_item: {
    content: "block+", defining: true, attrs: { only: { default: null }, keep: { default: {} } },
    parseDOM: [{ tag: "li", getAttrs: (dom) => ({ only: condition(dom), keep: kept(dom) }) }],
    toDOM: ({ attrs }) => ["li", shown(attrs.keep, attrs.only), 0],
  },
  table: {
    content: "table_row+", group: "block", isolating: true, tableRole: "table", attrs: { keep: { default: {} } },
    parseDOM: [{ tag: "table", getAttrs: (dom) => ({ keep: kept(dom) }) }],
    toDOM: ({ attrs }) => ["table", attrs.keep, ["tbody", 0]],
  },
  table_row: {
    content: "(table_cell | table_header)*", tableRole: "row",
    attrs: { only: { default: null }, section: { default: "tbody" }, keep: { default: {} } },
    parseDOM: [{ tag: "tr", getAttrs: (dom) => ({
      only: condition(dom), section: dom.parentNode?.nodeName.toLowerCase() ?? "tbody", keep: kept(dom),
    }) }],
    toDOM: ({ attrs }) => ["tr", shown(attrs.keep, attrs.only), 0],
  },
  table_cell: cell("td", false),
  table_header: cell("th", true),
  value: {
    inline: true, group: "inline", atom: true, attrs: { source: {} }, leafText: (node) => `{{ ${node.attrs.source} }}`,
    parseDOM: [{ tag: "span[data-value]", getAttrs: (dom) => ({ source: dom.dataset.value }) }],
    toDOM: ({ attrs }) => ["span", { "data-value": attrs.source, class: "chip" }, splitValue(attrs.source)[0]],
  },
  // Tags that are kept as they are: nothing here knows them.
  other: {
    inline: true, group: "inline", atom: true, attrs: { source: {} }, leafText: (node) => node.attrs.source,
    parseDOM: [{ tag: "span[data-comment]", getAttrs: (dom) => ({ source: dom.dataset.comment }) }],
    toDOM: ({ attrs }) => ["span", { "data-comment": attrs.source, class: "chip chip-other" }, attrs.source],
  },
  image: {
    inline: true, group: "inline", draggable: true, attrs: { src: {}, alt: { default: "" }, keep: { default: {} } },
    parseDOM: [
      { tag: "img[src]", getAttrs: (dom) => ({
        src: dom.getAttribute("src"), alt: dom.getAttribute("alt") ?? "", keep: kept(dom),
      }) },
      { tag: "span[data-image]", getAttrs: (dom) => ({ src: dom.dataset.image, alt: dom.dataset.alt }) },
    ],
    // An address with a value in it leads nowhere before it is filled in.
    toDOM: ({ attrs }) => (/\{[{%]|^(?!https:)/.test(attrs.src)
      ? ["span", { class: "chip chip-other", "data-image": attrs.src, "data-alt": attrs.alt }, `picture: ${attrs.alt || attrs.src}`]
      : ["img", { ...attrs.keep, src: attrs.src, alt: attrs.alt }]),
  },
  hard_break: { inline: true, group: "inline", selectable: false, parseDOM: [{ tag: "br" }], toDOM: () => ["br"], leafText: () => "\n" },
  text: { group: "inline" },
};

const simple = (tag, others = []) => ({ parseDOM: [tag, ...others].map((name) => ({ tag: name })), toDOM: () => [tag, 0] });

const marks = {
  // Words that only some see. Several may lie inside each other, the outer one first.
  only: {
    attrs: { chain: {}, id: {}, branch: {} }, inclusive: false, excludes: "",
    parseDOM: [{ tag: "span[data-only]", getAttrs: (dom) => condition(dom) }],
    toDOM: ({ attrs }) => ["span", { class: "only", "data-only": "", ...conditionData(attrs) }, 0],
  },
  link: {
    attrs: { href: {}, keep: { default: {} } }, inclusive: false,
    parseDOM: [{ tag: "a[href]", getAttrs: (dom) => ({ href: dom.getAttribute("href"), keep: kept(dom) }) }],
    toDOM: ({ attrs }) => ["a", { ...attrs.keep, href: attrs.href, title: attrs.href }, 0],
  },
  strong: simple("strong", ["b"]),
  em: simple("em", ["i"]),
  underline: simple("u", ["ins"]),
  strike: simple("s", ["del"]),
  code: simple("code"),
  sub: simple("sub"),
  sup: simple("sup"),
  small: simple("small"),
  // Colours, sizes and typefaces, as they come from other programs.
  styled: {
    attrs: { tag: {}, keep: {} }, excludes: "",
    parseDOM: ["span", "font", "abbr"].map((tag) => ({ tag, priority: 30, getAttrs: (dom) => {
      const keep = kept(dom);
      return Object.keys(keep).length ? { tag, keep } : false;
    } })),
    toDOM: ({ attrs }) => [attrs.tag, attrs.keep, 0],
  },
};

export const schema = new Schema({ nodes, marks });

export const toDocument = (body) => Parser.fromSchema(schema).parse(body);
