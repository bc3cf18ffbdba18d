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
const PATIENCE = 15_000; // ms that an attempt may take
const STABLE = 5_000; // ms after which a connection counts as good
const BEATS = 4; // looks at the connection in the time of one heartbeat
const PING = { type: "ping" };
const MOMENTS = ["online", "visibilitychange"]; // at which the network may be another one

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
  #failures = 0; // attempts and connections in a row that came to nothing
  #timer = null; // until the next attempt begins, or this one is given up
  #stable = null; // until this connection counts as good
  #pulse = null;
  #silence = 0; // beats without a sign of life
  #sent = 0; // bytes given to this socket
  #taken = 0; // bytes of these that the network had taken at the last beat
  #subscriptions = new Map(); // topic: { ask, onlost, at, moved }; see #note

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
    this.#dial(); // a URL that is none is the caller's to know
    for (const event of MOMENTS) addEventListener(event, this.#hurry);
    this.#show("connecting");
  }

  // Sends a string, bytes, or anything else as JSON. Returns false where it can't be sent now: there is no
  // connection, or too much of what was sent before still waits (see `drained`).
  send(data) {
    return this.bufferedAmount <= this.#options.highWater && this.#write(data);
  }

  // Bytes that the network has not taken yet.
  get bufferedAmount() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  // Waits a moment, and until most of what was sent is on its way.
  async drained() {
    do await new Promise((done) => setTimeout(done, 20));
    while (this.bufferedAmount > this.#options.highWater / 4);
  }

  // Asks for a topic now and at each new connection, then with the position of its last message, so that what
  // was missed comes first. `since` is where to begin, else it is now; `ask` are further members of the request;
  // `onlost` is called where what was missed can't come.
  subscribe(topic, { onlost, since, ...ask } = {}) {
    const at = since ?? this.#subscriptions.get(topic)?.at; // this connection may have the topic already
    this.#subscriptions.set(topic, { ask, onlost, at, moved: false });
    this.#request(topic, ask, since);
  }

  unsubscribe(topic) {
    if (this.#subscriptions.delete(topic)) this.#write({ type: "unsubscribe", topic });
  }

  // Cuts the connection as trouble would: it comes back by itself.
  cut() {
    if (this.#socket) this.#lose(1006, "cut on this page");
  }

  // Ends it for good.
  close(code = 1000, reason = "") {
    if (this.state === "closed") return;
    this.#socket?.close(code, reason); // which throws where code or reason are not allowed
    this.#end(code, reason);
  }

  #dial() {
    clearTimeout(this.#timer);
    const url = new URL(this.#url(), document.baseURI);
    if (this.state === "closed") return; // by the function that made the URL
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, this.#options.protocols ?? []);
    this.#socket = socket;
    this.#sent = this.#taken = this.#silence = 0;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = (event) => this.#lose(event.code, event.reason);
    this.#timer = setTimeout(() => this.#lose(1006, "no answer from the server"), PATIENCE);
  }

  #opened() {
    const { heartbeat, onopen } = this.#options;
    clearTimeout(this.#timer);
    this.#stable = setTimeout(() => (this.#failures = 0), STABLE);
    if (heartbeat) this.#pulse = setInterval(() => this.#beat(), heartbeat / BEATS);
    for (const [topic, subscription] of this.#subscriptions) {
      subscription.moved = false;
      this.#request(topic, subscription.ask, subscription.at);
    }
    this.#show("open");
    if (this.state === "open") call(onopen, this);
  }

  #request(topic, ask, since) {
    this.#write({ ...ask, since: since ?? undefined, type: "subscribe", topic }); // undefined is left out
  }

  #write(data) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return false;
    const bytes = data instanceof Blob || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
    const before = socket.bufferedAmount;
    socket.send(bytes || typeof data === "string" ? data : JSON.stringify(data));
    this.#sent += socket.bufferedAmount - before;
    return true;
  }

  #take(data) {
    this.#silence = 0;
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
    if (this.state !== "closed") call(this.#options.onmessage, message);
  }

  #note(message) {
    const subscription = this.#subscriptions.get(message?.topic);
    if (!subscription) return;
    const begins = message.type === "subscribed";
    if (message.at !== undefined && !(begins && subscription.moved)) {
      subscription.at = message.at; // where a subscription began may be told after its first messages
      subscription.moved = !begins;
    }
    if (begins && message.recovered === false) call(subscription.onlost, message);
  }

  // Counts beats, not ms: after sleep, and where timers are held back as in hidden pages, what the server has
  // answered meanwhile has its turn first. Bytes that leave a full line are a sign of life too.
  #beat() {
    const taken = this.#sent - this.bufferedAmount;
    if (this.bufferedAmount && taken > this.#taken) this.#silence = 0;
    this.#taken = taken;
    this.#silence += 1;
    if (this.#silence === BEATS) this.#write(PING);
    if (this.#silence === 2 * BEATS) this.#lose(1006, "no sign of life from the server");
  }

  #lose(code, reason) {
    this.#drop(reason);
    if (code === 1008 || (code >= 4400 && code < 4500)) this.#end(code, reason);
    else this.#wait(code, reason);
  }

  // Lets go of the socket without waiting for a peer that may be gone.
  #drop(reason) {
    for (const timer of [this.#timer, this.#stable, this.#pulse]) clearTimeout(timer); // and intervals
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState <= WebSocket.OPEN) socket.close(4000, reason);
  }

  #wait(code, reason) {
    if (this.state === "closed") return;
    const most = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++);
    const delay = most * (0.5 + Math.random() / 2); // not all clients of a server at the same moment
    this.#timer = setTimeout(this.#retry, delay);
    this.#show("waiting", { code, reason, retryAt: Date.now() + delay });
  }

  #retry = () => {
    try {
      this.#dial();
    } catch (error) {
      return this.#wait(1006, error.message); // there was no URL; there may be one the next time
    }
    this.#show("connecting");
  };

  // The device is online again, or the page is looked at: a good moment to try, or to ask for a sign of life.
  #hurry = (event) => {
    if (event.type === "visibilitychange" && document.hidden) return;
    if (this.state === "waiting") {
      this.#failures = 0;
      this.#retry();
    } else if (this.state === "open" && this.#options.heartbeat && this.#silence < BEATS) {
      this.#silence = BEATS;
      this.#write(PING);
    }
  };

  #end(code, reason) {
    for (const event of MOMENTS) removeEventListener(event, this.#hurry);
    this.#drop();
    this.#show("closed", { code, reason });
  }

  #show(state, { code = this.code, reason = this.reason, retryAt = null } = {}) {
    if (this.state === "closed") return;
    Object.assign(this, { state, code, reason, retryAt });
    call(this.#options.onstate, this);
  }
}

// Whatever a page's function throws, the connection goes on.
function call(callback, argument) {
  try {
    callback?.(argument);
  } catch (error) {
    reportError(error);
  }
}
