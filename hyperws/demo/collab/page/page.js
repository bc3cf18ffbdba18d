// The editor: a text that several people write, kept by Yjs, in a textarea.

import { byId } from "/shared/dom.js";
import { showNames } from "/shared/names.js";
import { showState } from "/shared/shell.js";
import { editName, name, usable } from "/shared/visitor.js";
import { Awareness, Doc } from "./yjs/yjs.js";
import { bind } from "./binding.js";
import { showCursors } from "./cursors.js";
import { share } from "./sharing.js";

const title = decodeURIComponent(location.pathname.split("/").pop());
const doc = new Doc();
const text = doc.getText("text"); // by which name other clients of Yjs find it
const awareness = new Awareness(doc);
const area = byId("text");

byId("title").textContent = title;
document.title = `${title} · ${document.title}`;
awareness.setLocalState({ user: { name }, cursor: null });

const sharing = share(`/collab/${encodeURIComponent(title)}`, doc, awareness, {
  onstate(connection) {
    showState(connection);
    byId("error").textContent = "";
  },
  onkept: sayKept,
  onerror: (words) => (byId("error").textContent = words),
});
const binding = bind(area, text, {
  undo: byId("undo"),
  redo: byId("redo"),
  onselect: (cursor) => awareness.setLocalStateField("cursor", cursor),
  oncompose: (composing) => sharing.hold(composing),
});
const drawCursors = showCursors(area, document.querySelector(".mirror"), binding, others);

text.observe(drawCursors);
awareness.on("change", () => {
  showPeople();
  drawCursors();
});
showPeople();

editName(byId("name"), () => awareness.setLocalStateField("user", { name }));

byId("open").addEventListener("submit", (event) => {
  event.preventDefault();
  location.href = `/collab/${encodeURIComponent(byId("document").value)}`;
});

addEventListener("beforeunload", (event) => {
  if (!sharing.kept) event.preventDefault(); // what is not kept elsewhere is gone with this page
});

function sayKept({ kept, connection }) {
  let words = kept ? "Saved" : "Saving…";
  if (connection.state !== "open") words = kept ? "Offline: you can go on writing" : "Offline: your changes are kept here";
  if (connection.state === "closed" && !kept) words = "Your last changes are only here: copy what you need";
  byId("kept").ariaLive = connection.state === "open" ? "off" : "polite"; // not after each word that is written
  byId("kept").textContent = words;
}

// Those who are here beside this page, as far as what they tell about themselves can be used.
function others() {
  return [...awareness.getStates()]
    .filter(([id]) => id !== doc.clientID)
    .map(([id, { user, cursor }]) => ({ id, name: nameOf(user), cursor }));
}

function nameOf(user) {
  return (typeof user?.name === "string" && usable(user.name.slice(0, 20))) || "Somebody";
}

function showPeople() {
  showNames(byId("people"), [{ name, own: true }, ...others().map((person) => ({ name: person.name, own: false }))]);
}
