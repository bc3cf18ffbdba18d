// Who is in the room. A member is one connection; its `visitor` is the tab that it belongs to.

import { byId } from "/shared/dom.js";
import { showNames } from "/shared/names.js";

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
  count.textContent = members.size;
  showNames(list, [...members.values()].map(({ visitor, name }) => ({ name, own: visitor === me })));
}
