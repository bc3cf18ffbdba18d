// What was said. Whoever reads further up is left in peace, and told that there is more.

import { byId } from "/shared/dom.js";
import { addLine } from "/shared/log.js";
import { colourOf } from "/shared/visitor.js";

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const log = byId("log");
const newer = byId("newer");

export function addNotice(text, kind = "notice") {
  add(kind, text);
}

export function addOwn({ text, time }) {
  add("own", text, { before: `You · ${clock.format(time)}` });
}

export function addOther({ name, text, time }) {
  add("other", text, { before: `${name} · ${clock.format(time)}` });
  log.lastElementChild.firstElementChild.style.color = colourOf(name);
}

// From now on, screen readers say what is new: they don't for all that was said before.
export function announce() {
  log.ariaLive = "polite";
}

export function toEnd() {
  log.scrollTop = log.scrollHeight;
}

function add(kind, text, around) {
  addLine(log, kind, text, around);
  newer.hidden = isAtEnd();
}

function isAtEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

log.addEventListener("scroll", () => {
  if (isAtEnd()) newer.hidden = true;
});
newer.addEventListener("click", () => {
  toEnd();
  byId("text").focus();
});
