// Who is writing.

import { byId } from "/shared/dom.js";

const SHOWN = 3_000; // ms after which one who is still writing tells again

const writers = new Map(); // visitor: { name, until }
const words = byId("writing");
let toldAt = 0;

// Calls `tell` when others should know that this visitor is writing.
export function watch(input, tell) {
  input.addEventListener("input", () => {
    if (!input.value || Date.now() < toldAt + SHOWN / 2) return;
    toldAt = Date.now();
    tell();
  });
}

// What was written is said: the next word is news again.
export function sent() {
  toldAt = 0;
}

export function add({ visitor, name }) {
  writers.set(visitor, { name, until: Date.now() + SHOWN });
  setTimeout(show, SHOWN);
  show();
}

export function remove({ visitor }) {
  if (writers.delete(visitor)) show();
}

function show() {
  for (const [visitor, { until }] of writers) if (until <= Date.now()) writers.delete(visitor);
  const names = [...writers.values()].map(({ name }) => name);
  const who = names.length > 2 ? `${names.length} people` : names.join(" and ");
  words.textContent = names.length ? `${who} ${names.length > 1 ? "are" : "is"} writing` : "";
}
