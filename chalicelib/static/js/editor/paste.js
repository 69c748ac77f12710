// What comes from other programs: their structure stays, their looks do not.

import { read, Unreadable } from "./read.js";
import { inert } from "./tags.js";

const BOLD = /font-weight:\s*(?:bold|[6-9]00)/i;
const NOT_BOLD = /font-weight:\s*(?:normal|[1-4]00)/i;

// Called with the HTML of the clipboard; what one of our editors copied comes back as it was.
export function cleanPasted(html) {
  if (/data-pm-slice/.test(html)) return readable(html);
  const { body } = new DOMParser().parseFromString(inert(html), "text/html");
  for (const gone of body.querySelectorAll("meta,link,title,xml")) gone.remove();
  const walker = document.createTreeWalker(body, NodeFilter.SHOW_COMMENT);
  const comments = [];
  while (walker.nextNode()) comments.push(walker.currentNode);
  comments.forEach((comment) => comment.remove());
  makeLists(body);
  for (const element of body.querySelectorAll("*")) if (element.tagName.includes(":")) element.replaceWith(...element.childNodes);
  for (const element of [...body.querySelectorAll("b,span,strong,i,em,u,font")]) plain(element);
  for (const element of body.querySelectorAll("[data-style],[class],[id],[dir],[lang]")) {
    for (const name of ["data-style", "class", "id", "dir", "lang"]) element.removeAttribute(name);
  }
  return readable(body.innerHTML);
}

// Tags of our language become chips and conditions; where they don't fit together they are shown as they are.
function readable(html) {
  try {
    return read(html).innerHTML;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return inert(html);
  }
}

// Google Docs wraps everything in a <b> that isn't bold, and says bold by styles.
function plain(element) {
  const style = element.dataset.style ?? "";
  let inner = [...element.childNodes];
  const wrap = (tag) => { const made = element.ownerDocument.createElement(tag); made.append(...inner); inner = [made]; };
  const name = element.tagName;
  if ((BOLD.test(style) || name === "B" || name === "STRONG") && !NOT_BOLD.test(style)) wrap("strong");
  if (/font-style:\s*italic/i.test(style) || name === "I" || name === "EM") wrap("em");
  if (name === "U" || (/text-decoration[^;]*underline/i.test(style) && !element.closest("a"))) wrap("u");
  element.replaceWith(...inner);
}

// Word's lists are paragraphs that say their level in a style: mso-list:l0 level2 lfo1.
function makeLists(body) {
  const levelOf = (p) => Number(/mso-list:[^;"]*level(\d+)/i.exec(p?.dataset?.style ?? "")?.[1] ?? 0);
  for (const first of [...body.querySelectorAll("p")]) {
    if (!first.parentNode || !levelOf(first)) continue;
    const lists = [];
    let next = first;
    const root = body.ownerDocument.createElement("div");
    first.before(root);
    while (levelOf(next)) {
      const p = next;
      next = p.nextElementSibling;
      const level = levelOf(p);
      const sign = p.querySelector('[data-style*="mso-list"]');
      const isNumbered = /^\s*\(?(?:\d+|[a-z]{1,3})[.)]/i.test(sign?.textContent ?? "");
      sign?.remove();
      lists.length = Math.min(lists.length, level);
      while (lists.length < level) {
        const list = body.ownerDocument.createElement(isNumbered ? "ol" : "ul");
        (lists.at(-1)?.lastElementChild ?? lists.at(-1) ?? root).append(list);
        lists.push(list);
      }
      const item = body.ownerDocument.createElement("li");
      item.append(...p.childNodes);
      lists.at(-1).append(item);
      p.remove();
    }
    root.replaceWith(...root.childNodes);
  }
}
