// Who is in the room. A member is one connection; `visitor` tells which of them are this tab.

import { colourOf } from "/shared/visitor.js";

const list = document.getElementById("people");
const count = document.getElementById("count");
let members = new Map(); // member: { visitor, name }

// These are all there are.
export function showAll(all, me) {
  members = new Map(all.map((one) => [one.member, one]));
  draw(me);
}

// One has come, or has another name. Returns what was known before, undefined for one who has come.
export function show(one, me) {
  const before = members.get(one.member);
  members.set(one.member, one);
  draw(me);
  return before;
}

export function remove(one, me) {
  members.delete(one.member);
  draw(me);
}

function draw(me) {
  const sorted = [...members.values()].sort((one, other) => one.name.localeCompare(other.name));
  count.textContent = sorted.length;
  list.replaceChildren(
    ...sorted.map(({ visitor, name }) => {
      const item = document.createElement("li");
      item.textContent = visitor === me ? `${name} (you)` : name;
      item.style.color = colourOf(name);
      return item;
    }),
  );
}
