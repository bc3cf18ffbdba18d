// Who is in the room. A member is one connection; its `visitor` is the tab that it belongs to.

import { byId, element } from "/shared/dom.js";
import { colourOf } from "/shared/visitor.js";

export let me = sessionStorage.chatVisitor; // the visitor that is this tab, once the server has told

const list = byId("people");
const count = byId("count");
let members = new Map(); // member: { visitor, name }

export function iAm({ visitor }) {
  me = sessionStorage.chatVisitor = visitor;
}

// These are all there are.
export function set(all) {
  members = new Map(all.map((one) => [one.member, one]));
  show();
}

// One has come, or has another name. Returns the name so far, undefined for one who has come.
export function add(one) {
  const before = members.get(one.member)?.name;
  members.set(one.member, one);
  show();
  return before;
}

export function remove(one) {
  members.delete(one.member);
  show();
}

function show() {
  const sorted = [...members.values()].sort((one, other) => one.name.localeCompare(other.name));
  count.textContent = sorted.length;
  list.replaceChildren(...sorted.map(item));
}

function item({ visitor, name }) {
  const made = element("li", { textContent: visitor === me ? `${name} (you)` : name });
  made.style.color = colourOf(name);
  return made;
}
