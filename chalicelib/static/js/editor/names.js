// What the text can speak of: columns, attributes and conditions. The page changes them while the editor is open.

import { splitValue } from "./tags.js";

const simple = (name) => name.trim().replace(/\s+/g, " ").normalize("NFC");

export class Names {
  constructor(data) { this.set(data); }

  // `isForMany`: a text about all learners shows attributes only; columns are for its tables.
  set({ columns, conditions, attributes, links = [], isForMany = false }) {
    this.isForMany = isForMany;
    this.columns = columns;
    this.conditions = isForMany ? [] : conditions;
    this.values = [...(isForMany ? [] : columns), ...attributes];
    this.links = isForMany ? [] : links;
    this.known = new Set([...this.values, ...this.links, ...this.conditions].map((one) => simple(one.name)));
  }

  isKnown = (name) => this.known.has(simple(name));

  // The name and the filters of a value.
  split(source) { return splitValue(source, this.isKnown); }

  // Conditions first, then yes/no columns: what an `if` may test.
  get tests() { return this.isForMany ? [] : [...this.conditions, ...this.columns.filter((one) => one.type === "boolean")]; }

  // The condition a test is about when it is about one alone.
  condition(test) {
    const name = simple(test.replace(/^not\s+/i, "").replace(/^"([^"]*)"$/, "$1"));
    return this.conditions.find((one) => simple(one.name) === name);
  }

  // Whether every name in a test is known, as far as can be told here; the server knows for sure.
  canTest(test) {
    if (!test.trim()) return false;
    const names = test.replace(/"([^"]*)"/g, (whole, name) => (this.isKnown(name) ? " " : whole));
    const known = this.tests.map((one) => simple(one.name)).sort((a, b) => b.length - a.length);
    const left = known.reduce((text, name) => text.split(name).join(" "), simple(names));
    return !left.replace(/\b(?:and|or|not)\b|[()\s]/gi, "");
  }
}
