// Messages and their echoes. Echoes come in the order in which messages were sent: each is that of the oldest
// message that has none yet.

import { connect } from "/hyperws.js";

export const LIMIT = 1 << 20; // bytes of a message: the server closes the connection of one that is longer
const PING = '{"type":"ping"}'; // hyperws.js asks for a sign of life with it, and has one when it comes back

// A message was on its way when the connection broke: nobody knows how far it came.
export class Lost extends Error {}

export class Echoes {
  #connection;
  #waiting = []; // { message, sentAt, resolve, reject }
  #greeted = false; // has the first message come, the key of the handshake?
  #whenOpen = []; // who waits for a connection

  // `ongreeting(key)` is called at each new connection, `onstate` is that of hyperws.js.
  constructor(path, { ongreeting, onstate }) {
    this.#connection = connect(path, {
      parse: false,
      onstate: (connection) => {
        onstate(connection);
        if (connection.state === "open") this.#begin();
        else this.#lose();
      },
      onmessage: (data) => {
        if (this.#greeted) return this.#take(data);
        this.#greeted = true;
        ongreeting(data);
      },
    });
  }

  // Sends a string or a Uint8Array, once there is a connection that takes it. Returns what comes back and how
  // long that took, { data, ms, same }, or throws Lost.
  async exchange(message) {
    let sentAt = performance.now();
    while (!this.#connection.send(message)) {
      await this.open();
      await this.#connection.drained(); // the network is slower than we are
      sentAt = performance.now();
    }
    const echo = await new Promise((resolve, reject) => this.#waiting.push({ message, sentAt, resolve, reject }));
    return { ...echo, same: isSame(message, echo.data) };
  }

  // Waits until there is a connection.
  async open() {
    if (this.#connection.state !== "open") await new Promise((resolve) => this.#whenOpen.push(resolve));
  }

  #begin() {
    this.#greeted = false;
    for (const resolve of this.#whenOpen.splice(0)) resolve();
  }

  #lose() {
    for (const { reject } of this.#waiting.splice(0)) reject(new Lost("the connection broke before it came back"));
  }

  #take(data) {
    if (data === PING && this.#waiting[0]?.message !== PING) return; // not ours
    const { sentAt, resolve } = this.#waiting.shift();
    resolve({ data, ms: performance.now() - sentAt });
  }
}

export function randomBytes(size) {
  const bytes = new Uint8Array(size);
  const most = 65536; // in one call
  for (let start = 0; start < size; start += most) crypto.getRandomValues(bytes.subarray(start, start + most));
  return bytes;
}

function isSame(sent, received) {
  if (typeof sent === "string" || typeof received === "string") return sent === received;
  const bytes = new Uint8Array(received);
  if (sent.length !== bytes.length) return false;
  for (let i = 0; i < sent.length; i++) if (sent[i] !== bytes[i]) return false;
  return true;
}
