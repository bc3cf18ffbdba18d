// Chat: what is said in a room. What one says oneself is shown where it comes in the order that is the same for
// all; until then, it is on its way.

import { connect } from "/hyperws.js";
import { addLine } from "/shared/log.js";
import { showState } from "/shared/shell.js";
import * as visitor from "/shared/visitor.js";
import * as people from "./people.js";
import { room } from "./rooms.js";

const MOST_REMEMBERED = 500;
const WRITING = 3_000; // ms for which it is shown that someone writes

const [log, newer, refusal, waiting, writing, say, input, send, rename, name] = [
  "log", "newer", "refusal", "waiting", "writing", "say", "text", "send", "rename", "name",
].map((id) => document.getElementById(id));
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

const topic = `chat:${room}`;
const onItsWay = new Map(); // what was sent and has not come back: id: text
const writers = new Map(); // who writes: visitor: { name, until }
const shown = new Set(); // what was shown lately: what comes twice is shown once
let me = sessionStorage.chatVisitor; // by which one's own words are known
let welcomed = false;
let pausedUntil = 0; // by Date.now()
let said = 0;
let toldAt = 0; // when others were told that one writes

const connection = connect(`/chat/${encodeURIComponent(room)}`, {
  onmessage(message) {
    take[message.type]?.(message);
  },
  onopen(connection) {
    connection.send({ type: "enter", name: visitor.name, id: visitor.id });
  },
  onstate(connection) {
    showState(connection);
    if (Date.now() < pausedUntil) send.disabled = true;
  },
});
connection.subscribe(topic);

const take = {
  welcome({ text }) {
    if (!welcomed) addLine(log, "notice", text);
    welcomed = true;
  },
  said({ id, visitor: who, name, text, time }) {
    const own = who === me;
    if (own && onItsWay.delete(id)) showWaiting();
    if (isShown(`${who} ${id}`)) return;
    add(own ? "own" : "other", text, { before: `${own ? "You" : name} · ${clock.format(time)}` });
    if (!own) log.lastElementChild.firstElementChild.style.color = visitor.colourOf(name);
    writers.delete(who);
    showWriters();
  },
  subscribed() {
    log.setAttribute("aria-live", "polite"); // not for what was said before
    for (const [id, text] of onItsWay) connection.send({ type: "say", id, text }); // it got lost on the way
  },
  missing() {
    add("notice", "Some messages are missing here");
  },
  you({ visitor: who }) {
    me = sessionStorage.chatVisitor = who;
  },
  members({ members }) {
    people.showAll(members, me);
  },
  here(one) {
    const before = people.show(one, me);
    const own = one.visitor === me;
    if (before && before.name !== one.name) add("notice", `${own ? "You are" : `${before.name} is`} now ${one.name}`);
    else if (!before && !own) add("notice", `${one.name} is here`);
  },
  left(one) {
    people.remove(one, me);
    if (one.visitor !== me) add("notice", `${one.name} has left`);
  },
  writing({ visitor: who, name }) {
    writers.set(who, { name, until: Date.now() + WRITING });
    showWriters();
    setTimeout(showWriters, WRITING);
  },
  refused({ id, wait, text }) {
    const words = onItsWay.get(id) ?? "";
    onItsWay.delete(id);
    showWaiting();
    input.value = `${input.value} ${words}`.trim();
    refusal.textContent = text;
    pausedUntil = Date.now() + wait * 1000;
    showPause();
  },
  error({ text }) {
    add("error", text);
  },
};

function isShown(key) {
  if (shown.has(key)) return true;
  shown.add(key);
  if (shown.size > MOST_REMEMBERED) shown.delete(shown.values().next().value);
  return false;
}

// --- what one says

say.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = input.value;
  if (!text.trim() || Date.now() < pausedUntil) return;
  if (text.length > input.maxLength) {
    refusal.textContent = `That is longer than ${input.maxLength} characters`;
    return;
  }
  const id = `${Date.now()}-${++said}`;
  onItsWay.set(id, text);
  connection.send({ type: "say", id, text });
  input.value = refusal.textContent = "";
  toldAt = 0;
  log.scrollTop = log.scrollHeight;
  showWaiting();
});

function showWaiting() {
  waiting.textContent = onItsWay.size ? `On its way: ${[...onItsWay.values()].join(" ")}` : "";
}

function showPause() {
  const left = Math.ceil((pausedUntil - Date.now()) / 1000);
  send.disabled = left > 0 || connection.state !== "open";
  send.textContent = left > 0 ? `Send in ${left}` : "Send";
  if (left > 0) setTimeout(showPause, 200);
  else refusal.textContent = "";
}

rename.addEventListener("submit", (event) => {
  event.preventDefault();
  name.value = visitor.rename(name.value);
  connection.send({ type: "enter", name: visitor.name, id: visitor.id });
});
name.value = visitor.name;

// --- who writes

input.addEventListener("input", () => {
  if (!input.value || Date.now() < toldAt + WRITING / 2) return;
  toldAt = Date.now();
  connection.send({ type: "writing" });
});

function showWriters() {
  for (const [who, { until }] of writers) if (until <= Date.now()) writers.delete(who);
  const names = [...writers.values()].map(({ name }) => name);
  const [subject, verb] = names.length > 2 ? [`${names.length} people`, "are"] : [names.join(" and "), names.length > 1 ? "are" : "is"];
  writing.textContent = names.length ? `${subject} ${verb} writing` : "";
}

// --- the log: whoever reads further up is left in peace

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
  log.scrollTop = log.scrollHeight;
  input.focus();
});
