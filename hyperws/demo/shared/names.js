// Names of people, each in its colour.

import { element } from "./dom.js";
import { colourOf } from "./visitor.js";

const { compare } = new Intl.Collator();
const waiting = new Map(); // list: people; many who come at once are drawn at once

// Shows people, { name, own }, in a <ul class="names">: oneself, then the others by name.
export function showNames(list, people) {
  if (!waiting.size) requestAnimationFrame(draw);
  waiting.set(list, people);
}

function draw() {
  for (const [list, people] of waiting) {
    const sorted = people.toSorted((one, other) => other.own - one.own || compare(one.name, other.name));
    const shown = JSON.stringify(sorted);
    if (list.dataset.shown === shown) continue; // those who listen to the page hear only what is new
    list.dataset.shown = shown;
    list.replaceChildren(...sorted.map(item));
  }
  waiting.clear();
}

function item({ name, own }) {
  const made = element("li", { textContent: own ? `${name} (you)` : name });
  made.style.color = colourOf(name);
  return made;
}
