// Names of people, each in its colour.

import { element } from "./dom.js";
import { colourOf } from "./visitor.js";

// Shows people, { name, own }, in a <ul class="names">: oneself, then the others by name.
export function showNames(list, people) {
  const sorted = people.toSorted((one, other) => other.own - one.own || one.name.localeCompare(other.name));
  const shown = JSON.stringify(sorted);
  if (list.dataset.shown === shown) return; // those who listen to the page hear only what is new
  list.dataset.shown = shown;
  list.replaceChildren(...sorted.map(item));
}

function item({ name, own }) {
  const made = element("li", { textContent: own ? `${name} (you)` : name });
  made.style.color = colourOf(name);
  return made;
}
