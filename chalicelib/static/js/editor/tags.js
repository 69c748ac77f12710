// Finds the tags of the message language in a text, and reads or writes what stands inside them.

// An HTML comment, an HTML tag (whose inside is left alone), a value, a block tag. Braces inside quotes are a name's.
const TOKENS = /<!--[\s\S]*?-->|<\/?[a-zA-Z](?:"[^"]*"|'[^']*'|[^'">])*>|\{\{(?:(?:"|&quot;).*?(?:"|&quot;)|[^}]|\}(?!\}))*?\}\}|\{%(?:(?:"|&quot;).*?(?:"|&quot;)|[^%]|%(?!\}))*?%\}|\{#[\s\S]*?#\}/g;
const BLOCK = /^\s*(if|elif|else|endif)\b\s*([\s\S]*?)\s*$/;
const PLAIN = /^[\p{L}\p{N}](?:[\p{L}\p{N}_ .,:;#$+*/=?@-]*[\p{L}\p{N}_.#$+?])?$/u;

// What people read as <, >, & and blanks may stand in tags raw or escaped.
export function unescape(text) {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&#39;/g, "'")
    .replace(/&nbsp;|\u00a0/g, " ").replace(/&amp;/g, "&").trim();
}

export const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
export const escapeAttribute = (text) => escape(text).replace(/"/g, "&quot;");

// Calls `replace` with each tag of the language, {kind, inner} or {kind: "if"…, inner: test}, and with the HTML tags.
export function replaceTags(text, replace) {
  return text.replace(TOKENS, (whole) => {
    if (whole.startsWith("<!--")) return "";
    if (whole.startsWith("<")) return replace({ kind: "html", inner: whole });
    if (whole.startsWith("{#")) return replace({ kind: "comment", inner: whole });
    const inner = unescape(whole.slice(2, -2));
    if (whole.startsWith("{{")) return replace({ kind: "value", inner });
    const block = BLOCK.exec(inner);
    return replace(block ? { kind: block[1], inner: block[2] } : { kind: "comment", inner: whole });
  });
}

// HTML with nothing in it that the strict policy would report, even in documents that are never shown: `style` becomes
// `data-style`, scripts and style sheets go.
export function inert(html) {
  return html.replace(/<(script|style)\b[\s\S]*?(?:<\/\1\s*>|$)/gi, "").replace(/<[a-zA-Z](?:"[^"]*"|'[^']*'|[^'">])*>/g, (tag) => tag
    .replace(/(\s)style(\s*=)/gi, "$1data-style$2").replace(/\son\w+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+)/gi, ""));
}

// A name as it is written in a tag: quoted where its signs could be misread.
export function quoted(name) {
  const isPlain = PLAIN.test(name) && !/ {2}|(?:^| )(?:and|or|not)(?: |$)/i.test(name);
  return isPlain ? name : `"${name}"`;
}

// The name at the start of a value, and what follows it: `Quiz 1 | round: 1` is ["Quiz 1", "round: 1"].
export function splitValue(source, isKnown = () => false) {
  const inQuotes = /^"([^"]*)"\s*(?:\|\s*([\s\S]*))?$/.exec(source);
  if (inQuotes) return [inQuotes[1], inQuotes[2] ?? ""];
  if (isKnown(source)) return [source, ""];
  for (let at = source.lastIndexOf("|"); at > 0; at = source.lastIndexOf("|", at - 1)) {
    const name = source.slice(0, at).trim();
    if (isKnown(name)) return [name, source.slice(at + 1).trim()];
  }
  const at = source.indexOf("|");
  return at < 0 ? [source, ""] : [source.slice(0, at).trim(), source.slice(at + 1).trim()];
}
