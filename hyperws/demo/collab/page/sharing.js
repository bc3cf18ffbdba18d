// A document of Yjs and its awareness, over a connection of hyperws.js, in the messages of y-websocket.

import { connect } from "/hyperws.js";
import * as Y from "./yjs/yjs.js";

const SYNC = 0;
const AWARENESS = 1;
const GATHER = 50; // ms for which changes are gathered into one message
const LONGEST_HOLD = 1_500; // ms for which what others write may be held back

// What it returns has the `connection`, and `kept`: whether the server has stored all that was written here.
// `onkept` is called with that whenever one of them has changed.
export function share(url, doc, awareness, { onstate, onkept, onerror }) {
  const sharing = { kept: true, hold, connection: null };
  let changes = []; // updates that wait to be sent
  let last = 0; // the number of the last change made here
  let synchronized = false; // on this connection: the server has what was written before
  let timer = null;
  let moved = false; // the own awareness has changed
  let held = null; // messages that wait, while `hold(true)`
  let release = null;

  sharing.connection = connect(url, { onopen, onmessage, onstate: noteState });
  doc.on("update", (update, origin) => {
    if (origin === sharing) return;
    changes.push(update);
    last += 1;
    sharing.kept = false;
    onkept(sharing);
    sendSoon();
  });
  awareness.on("update", (_, origin) => {
    if (origin !== "local") return;
    moved = true;
    sendSoon();
  });
  return sharing;

  function noteState(connection) {
    sharing.connection = connection;
    if (connection.state === "waiting") {
      synchronized = false;
      held = held && [];
      const others = [...awareness.getStates().keys()].filter((id) => id !== doc.clientID);
      Y.removeAwarenessStates(awareness, others, sharing);
      for (const id of others) awareness.meta.delete(id); // so that they are news when the connection is back
    }
    onstate(connection);
    onkept(sharing);
  }

  function onopen() {
    send(SYNC, (encoder) => Y.writeSyncStep1(encoder, doc));
    awareness.setLocalState(awareness.getLocalState()); // news even to those who have just seen this page leave
  }

  function onmessage(message) {
    if (!(message instanceof ArrayBuffer)) return noteWords(message);
    if (held) return void held.push(message);
    const decoder = Y.createDecoder(new Uint8Array(message));
    const kind = Y.readVarUint(decoder);
    if (kind === AWARENESS) Y.applyAwarenessUpdate(awareness, Y.readVarUint8Array(decoder), sharing);
    if (kind === SYNC) synchronize(decoder);
  }

  // Where the server has asked what there is, the answer brings it all that was written while it was away.
  function synchronize(decoder) {
    const answer = Y.createEncoder();
    Y.writeVarUint(answer, SYNC);
    Y.readSyncMessage(decoder, answer, doc, sharing);
    if (Y.length(answer) === 1) return;
    sharing.connection.send(Y.toUint8Array(answer));
    synchronized = true;
    changes = [];
    askWhetherKept();
  }

  function noteWords(message) {
    if (message.type === "error") onerror(message.text);
    if (message.type !== "pong" || message.id !== last) return;
    sharing.kept = true;
    onkept(sharing);
  }

  function askWhetherKept() {
    sharing.connection.send({ type: "ping", id: last });
  }

  function sendSoon() {
    timer ??= setTimeout(sendNow, GATHER);
  }

  function sendNow() {
    timer = null;
    if (synchronized && changes.length) {
      if (!send(SYNC, (encoder) => Y.writeUpdate(encoder, Y.mergeUpdates(changes)))) return sendSoon();
      changes = [];
      askWhetherKept();
    }
    if (moved) {
      moved = false; // whoever is not connected says it again, see onopen
      const state = Y.encodeAwarenessUpdate(awareness, [doc.clientID]);
      send(AWARENESS, (encoder) => Y.writeVarUint8Array(encoder, state));
    }
  }

  function send(kind, write) {
    const encoder = Y.createEncoder();
    Y.writeVarUint(encoder, kind);
    write(encoder);
    return sharing.connection.send(Y.toUint8Array(encoder));
  }

  // What others write has to wait while a word is put together (by an input method, or on a phone).
  function hold(wanted) {
    clearTimeout(release);
    if (wanted) {
      held ??= [];
      release = setTimeout(hold, LONGEST_HOLD, false);
    } else if (held) {
      const messages = held;
      held = null;
      messages.forEach(onmessage);
    }
  }
}
