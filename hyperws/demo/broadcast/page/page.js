// Groups: join and leave them, see who is there, speak to them. hyperws.js asks for all of them again at each
// new connection.

import { connect } from "/hyperws.js";
import { byId } from "/shared/dom.js";
import { addLine } from "/shared/log.js";
import { showNames } from "/shared/names.js";
import { showState } from "/shared/shell.js";
import * as visitor from "/shared/visitor.js";
import { SlowReader } from "./slow.js";

const MOST_SHOWN = 50; // members of one group

const log = byId("log");
const groups = new Map(); // name: { item, members: Map { client_id: name }, known: has the server told who is there }
let me; // this connection's client_id

const slow = new SlowReader((message) => connection.send(message));
const connection = connect("/broadcast", {
  onstate(connection) {
    showState(connection);
    if (connection.state !== "open") slow.lost();
  },
  onmessage(message) {
    const group = groups.get(message.topic);
    if (message.topic != null && !group) return; // it has just been left
    handlers[message.type]?.(message, group);
  },
});

const handlers = {
  joined({ topic, client_id, name }, group) {
    if (!group) {
      me = client_id;
      for (const group of groups.values()) group.known = false;
      return;
    }
    const isNew = group.known && !group.members.has(client_id);
    group.members.set(client_id, name);
    showMembers(group);
    if (isNew) addLine(log, "notice", `${name} has joined ${topic}`);
  },
  subscribed({ members }, group) {
    group.members = new Map(members.map(({ client_id, name }) => [client_id, name]));
    group.known = true;
    showMembers(group);
  },
  left({ topic, client_id }, group) {
    const name = group.members.get(client_id);
    group.members.delete(client_id);
    showMembers(group);
    if (name) addLine(log, "notice", `${name} has left ${topic}`);
  },
  missing({ topic }) {
    addLine(log, "notice", `Something said to ${topic} may be missing here`);
  },
  broadcast({ topic, from, name, message }) {
    const own = from === me;
    addLine(log, own ? "own" : "other", message, { before: `${own ? "You" : name} to ${topic}` });
  },
  published({ topic, here }, { members }) {
    byId("result").textContent =
      `Sent to ${here} here, in the process that you are connected to; ${topic} has ${members.size} in all.`;
  },
  error({ about, topic, text }, group) {
    if (about === "start") return slow.broken(text);
    if (group && !group.known) leave(topic); // the server does not let one in
    addLine(log, "error", text);
  },
  number(message) {
    slow.number(message);
  },
  feed(message) {
    slow.report(message);
  },
};

function join(topic) {
  connection.subscribe(topic, { name: visitor.name });
  if (groups.has(topic)) return;
  const item = byId("group").content.cloneNode(true).firstElementChild;
  item.querySelector("h3").textContent = topic;
  item.querySelector("button").ariaLabel = `Leave ${topic}`;
  item.querySelector("button").addEventListener("click", () => leave(topic));
  byId("groups").append(item);
  groups.set(topic, { item, members: new Map(), known: false });
  byId("say-to").append(new Option(topic));
  byId("say-to").value = topic;
  groupsChanged();
}

function leave(topic) {
  const { item } = groups.get(topic);
  if (item.querySelector(":focus-visible")) byId("join-text").focus(); // not from somewhere that is gone
  item.remove();
  groups.delete(topic);
  connection.unsubscribe(topic);
  [...byId("say-to").options].find((option) => option.value === topic).remove();
  groupsChanged();
}

function groupsChanged() {
  sessionStorage.groups = JSON.stringify([...groups.keys()]);
  byId("no-groups").hidden = groups.size > 0;
}

function showMembers({ item, members }) {
  item.querySelector("small").textContent = members.size === 1 ? "you alone" : `${members.size} members`;
  const people = [...members].slice(0, MOST_SHOWN).map(([id, name]) => ({ name, own: id === me }));
  showNames(item.querySelector(".names"), people);
}

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  join(byId("join-text").value);
  byId("join-text").value = "";
});

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const message = byId("say-text").value;
  if (connection.send({ type: "publish", topic: byId("say-to").value, message, myself: byId("say-myself").checked })) {
    byId("say-text").value = "";
  }
});

visitor.editName(byId("name"), () => {
  for (const topic of groups.keys()) join(topic); // again, by the new name
});

for (const topic of JSON.parse(sessionStorage.groups ?? '["everyone"]')) join(topic);
