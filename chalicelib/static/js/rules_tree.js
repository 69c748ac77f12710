// The formula between its JSON and the fields: a group is {every, negated, members}, a rule {column, op, values}.

export const LISTS = new Set(["is_one_of", "is_none_of"]);

export const isGroup = (node) => "members" in node;

export const newRule = () => ({ column: 0, op: "", values: [] });

export const newGroup = (members = []) => ({ every: true, negated: false, members });

function fromJson(json) {
  const members = json.all ?? json.any;
  if (Array.isArray(members)) return { every: "all" in json, negated: json.not === true, members: members.map(fromJson) };
  const values = [json.value ?? []].flat().map(String);
  return { column: Number(json.column) || 0, op: json.op ?? "", values };
}

export function read(text) {
  if (!text) return newGroup();
  try {
    const tree = fromJson(JSON.parse(text));
    return isGroup(tree) ? tree : newGroup();
  } catch {
    return newGroup();
  }
}

function toJson(node) {
  if (isGroup(node)) {
    const json = { [node.every ? "all" : "any"]: node.members.map(toJson) };
    return node.negated ? { ...json, not: true } : json;
  }
  const json = { column: node.column, op: node.op };
  if (LISTS.has(node.op) || node.values.length > 1) return { ...json, value: node.values };
  return node.values.length ? { ...json, value: node.values[0] } : json;
}

export const write = (tree) => (tree.members.length ? JSON.stringify(toJson(tree)) : "");

// Gives each node its place ("2.1") and calls `visit(node, kind)` with the words the server uses: "rule 2.1".
export function number(tree, visit = () => {}, place = "") {
  tree.place = place;
  visit(tree, `group ${place}`.trim());
  tree.members.forEach((member, index) => {
    const here = place ? `${place}.${index + 1}` : `${index + 1}`;
    if (isGroup(member)) number(member, visit, here);
    else {
      member.place = here;
      visit(member, `rule ${here}`);
    }
  });
}
