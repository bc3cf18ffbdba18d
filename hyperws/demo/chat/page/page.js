// Chat: what is said in a room. What one says oneself is shown where it comes in the order that is the same for
// all; until then it is on its way.

import { connect } from "/hyperws.js";
import { byId } from "/shared/dom.js";
import { showState } from "/shared/shell.js";
import * as visitor from "/shared/visitor.js";
import * as people from "./people.js";
import * as reading from "./reading.js";
import { room } from "./rooms.js";
import * as writers from "./writers.js";

const MOST_REMEMBERED = 500;

const [input, send, refusal, waiting] = ["text", "send", "refusal", "waiting"].map(byId);
const onItsWay = new Map(); // what has not come back yet: id: text
const shown = new Set(); // the last that was shown: what comes twice is shown once
let pausedUntil = 0; // when one may write again, by Date.now()
let welcomed = false;
let count = 0;

const connection = connect(`/chat/${encodeURIComponent(room)}`, {
  onopen: enter,
  onmessage: (message) => take[message.type](message),
  onstate(connection) {
    showState(connection);
    showPause(connection);
  },
});
connection.subscribe(`chat:${room}`);

const take = {
  welcome({ text }) {
    if (!welcomed) reading.addNotice(text); // once is enough
    welcomed = true;
  },

  said(one) {
    const own = one.visitor === people.me;
    if (own && onItsWay.delete(one.id)) showWaiting();
    if (!isNew(`${one.visitor} ${one.id}`)) return;
    if (own) reading.addOwn(one);
    else reading.addOther(one);
    writers.remove(one);
  },

  missing() {
    reading.addNotice("Some messages are missing here");
  },

  subscribed() {
    reading.announce();
    for (const [id, text] of onItsWay) connection.send({ type: "say", id, text }); // it did not arrive
  },

  you: people.iAm,

  members({ members }) {
    people.set(members);
  },

  here(one) {
    const before = people.add(one);
    const own = one.visitor === people.me;
    if (before && before !== one.name) reading.addNotice(`${own ? "You are" : `${before} is`} now ${one.name}`);
    else if (!before && !own) reading.addNotice(`${one.name} is here`);
  },

  left(one) {
    people.remove(one);
    if (one.visitor !== people.me) reading.addNotice(`${one.name} has left`);
  },

  writing: writers.add,

  refused({ id, wait, text }) {
    if (onItsWay.has(id)) input.value = `${input.value} ${onItsWay.get(id)}`.trim();
    onItsWay.delete(id);
    showWaiting();
    refusal.textContent = text;
    pausedUntil = Date.now() + wait * 1000;
    showPause(connection);
  },

  error({ text }) {
    reading.addNotice(text, "error");
  },
};

function isNew(key) {
  if (shown.has(key)) return false;
  shown.add(key);
  if (shown.size > MOST_REMEMBERED) shown.delete(shown.values().next().value);
  return true;
}

function showWaiting() {
  waiting.textContent = onItsWay.size ? `On its way: ${[...onItsWay.values()].join(" ")}` : "";
}

function showPause(connection) {
  const seconds = Math.ceil((pausedUntil - Date.now()) / 1000);
  const paused = seconds > 0;
  send.disabled = paused || connection.state !== "open";
  send.textContent = paused ? `Send in ${seconds}` : "Send";
  if (paused) setTimeout(showPause, 200, connection);
  else refusal.textContent = "";
}

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = input.value;
  if (!text.trim()) return;
  if (text.length > input.maxLength) {
    refusal.textContent = `That is longer than ${input.maxLength} characters`;
    return;
  }
  const id = `${Date.now()}-${++count}`;
  onItsWay.set(id, text);
  connection.send({ type: "say", id, text });
  input.value = refusal.textContent = "";
  showWaiting();
  writers.sent();
  reading.toEnd();
});
writers.watch(input, () => connection.send({ type: "writing" }));

function enter(connection) {
  connection.send({ type: "enter", name: visitor.name, id: visitor.id });
}

visitor.editName(byId("name"), () => enter(connection));
