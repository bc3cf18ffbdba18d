// hyperws.js: a WebSocket that comes back.
//
//   import { connect } from "/hyperws.js";
//
//   const connection = connect("/chat/lobby", {
//     onmessage(message) {},      // JSON comes parsed; other text as a string, bytes as an ArrayBuffer
//     onstate(connection) {},     // connection.state is "connecting", "open", "waiting" or "closed"
//   });
//   connection.send({ type: "message", text: "hello" });
//   connection.subscribe("news", { onlost() {} });
//
// docs/browser.md says what is sent for it, and what the server has to do.

const FIRST_DELAY = 500; // ms, the most until the first attempt to come back; doubled with each further one
const LONGEST_DELAY = 15_000;
const STABLE = 5_000; // ms after which a connection counts as good
const PING = { type: "ping" };

export function connect(url, options) {
  return new Connection(url, options);
}

export class Connection {
  state = "connecting";
  retryAt = null; // when it is tried again, by Date.now(), in the state "waiting"
  code = null; // of the last close, with its reason
  reason = "";

  #url;
  #options;
  #socket = null;
  #failures = 0;
  #timer = null; // until the next attempt
  #stable = null; // until this connection counts as good
  #pulse = null;
  #heard = 0; // when something came last, by performance.now()
  #pinged = 0; // when the server was asked for a sign of life, 0 if it has answered
  #subscriptions = new Map(); // topic: { at, moved, ask, onlost }; `moved`: a message has come since

  // `url` is a path, a URL, or a function that returns one, which is called for each attempt.
  //
  //   onopen(connection)      at each new connection, after the subscriptions were sent again
  //   heartbeat               ms of silence after which the server is pinged; as long again, and the connection
  //                           is given up. 0 for servers that do not answer {"type": "ping"}
  //   highWater               bytes in bufferedAmount above which `send` refuses
  //   parse                   false for messages as they come
  constructor(url, options = {}) {
    this.#url = typeof url === "function" ? url : () => url;
    this.#options = { heartbeat: 10_000, highWater: 1 << 20, parse: true, ...options };
    addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    this.#open();
  }

  // Sends a string, bytes, or anything else as JSON. Returns false where it can't be sent now: there is no
  // connection, or too much of what was sent before still waits (see `drained`).
  send(data) {
    const raw = typeof data === "string" || data instanceof Blob || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
    if (this.state !== "open" || this.bufferedAmount > this.#options.highWater) return false;
    this.#socket.send(raw ? data : JSON.stringify(data));
    return true;
  }

  // Bytes that the network has not taken yet.
  get bufferedAmount() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  // Waits until most of what was sent is on its way.
  async drained() {
    while (this.bufferedAmount > this.#options.highWater / 4) await new Promise((done) => setTimeout(done, 20));
  }

  // Asks for a topic now and at each new connection, with the position of its last message, so that what was
  // missed comes first. `ask` are further members of the request; `onlost` is called where it can't come.
  subscribe(topic, { onlost, ...ask } = {}) {
    const subscription = { at: null, moved: false, ask, onlost };
    this.#subscriptions.set(topic, subscription);
    this.#request(topic, subscription);
  }

  unsubscribe(topic) {
    if (this.#subscriptions.delete(topic)) this.send({ type: "unsubscribe", topic });
  }

  // Cuts the connection as trouble would: it comes back by itself.
  cut() {
    this.#lose(1006, "cut on this page");
  }

  // Ends it for good.
  close(code = 1000, reason = "") {
    removeEventListener("online", this.#hurry);
    document.removeEventListener("visibilitychange", this.#hurry);
    clearTimeout(this.#timer);
    this.#drop(code, reason);
    this.#show("closed", { code, reason });
  }

  #open() {
    const url = new URL(this.#url(), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.#show("connecting");
    const socket = new WebSocket(url, this.#options.protocols ?? []);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = (event) => this.#lose(event.code, event.reason);
  }

  #opened() {
    this.#heard = performance.now();
    this.#pinged = 0;
    this.#stable = setTimeout(() => (this.#failures = 0), STABLE);
    if (this.#options.heartbeat) this.#pulse = setInterval(() => this.#beat(), this.#options.heartbeat / 4);
    this.#show("open");
    for (const [topic, subscription] of this.#subscriptions) this.#request(topic, subscription);
    this.#options.onopen?.(this);
  }

  #request(topic, subscription) {
    const { at, ask } = subscription;
    subscription.moved = false;
    this.send({ type: "subscribe", topic, ...ask, ...(at !== null && { since: at }) });
  }

  #take(data) {
    this.#heard = performance.now();
    this.#pinged = 0;
    let message = data;
    if (this.#options.parse && typeof data === "string") {
      try {
        message = JSON.parse(data);
      } catch {
        // it is text
      }
      if (message?.type === "pong" && !("id" in message)) return;
      this.#note(message);
    }
    this.#options.onmessage?.(message);
  }

  #note(message) {
    const subscription = this.#subscriptions.get(message?.topic);
    if (!subscription) return;
    const answer = message.type === "subscribed";
    if (answer && message.recovered === false) subscription.onlost?.(message);
    if (message.at === undefined || (answer && subscription.moved)) return; // it began there, and has gone on since
    subscription.at = message.at;
    subscription.moved = true;
  }

  // A timer of a hidden page may be late, but what came meanwhile has its turn before it.
  #beat() {
    const silence = performance.now() - this.#heard;
    const { heartbeat } = this.#options;
    if (!this.#pinged && silence >= heartbeat) {
      this.#pinged = performance.now();
      this.send(PING);
    } else if (this.#pinged && performance.now() - this.#pinged >= heartbeat) {
      this.#lose(1006, "no sign of life from the server");
    }
  }

  // Let go of the socket without waiting for a peer that may be gone.
  #drop(code, reason) {
    clearTimeout(this.#stable);
    clearInterval(this.#pulse);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState <= WebSocket.OPEN) socket.close(code === 1006 ? 4000 : code, reason);
  }

  #lose(code, reason) {
    if (!this.#socket) return; // it is lost already
    this.#drop(code, reason);
    if (code === 1008 || (code >= 4400 && code < 4500)) return this.close(code, reason); // it is not to come back
    const most = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++);
    const delay = most * (0.5 + Math.random() / 2); // not all clients of a server at the same moment
    this.#timer = setTimeout(() => this.#open(), delay);
    this.#show("waiting", { code, reason, retryAt: Date.now() + delay });
  }

  #hurry = () => {
    if (this.state !== "waiting" || !navigator.onLine || document.hidden) return;
    clearTimeout(this.#timer);
    this.#open();
  };

  #show(state, { code = this.code, reason = this.reason, retryAt = null } = {}) {
    Object.assign(this, { state, code, reason, retryAt });
    this.#options.onstate?.(this);
  }
}
