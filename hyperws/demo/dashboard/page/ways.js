// Three ways for the same points to come here. Each has `feed`, and `start()` and `stop()` for a page that is
// looked at or not. They go on from the last point they had, if the server still has what came after.

import { connect } from "/hyperws.js";
import { Clock, now } from "./clock.js";
import { epochOf, Feed } from "./feed.js";

const ASK = 1_000; // ms between two questions for the time
const PATIENCE = 10_000; // ms of silence until an event stream or request is given up
const PAUSE = 2_000; // ms until an event stream that was refused is tried again

export const clock = new Clock();

class Way {
  feed = new Feed();

  constructor(name) {
    this.name = name;
  }

  take(points, bytes) {
    this.feed.take(points, bytes, clock);
  }

  get query() {
    return this.feed.at === null ? "" : `?since=${encodeURIComponent(this.feed.at)}`;
  }
}

export class Socket extends Way {
  #wanted = false;
  #point = null; // the last one by this connection

  constructor(onstate, onerror) {
    super("WebSocket");
    this.onerror = onerror;
    this.connection = connect("/data", {
      parse: false, // to count bytes
      onstate,
      onopen: () => {
        clock.forget();
        this.#point = null;
        if (this.#wanted) this.#subscribe();
      },
      onmessage: (text) => this.#hear(text),
    });
    setInterval(() => this.#wanted && this.connection.send({ type: "clock", sent: now() }), ASK);
  }

  start() {
    this.#wanted = true;
    this.#subscribe();
  }

  stop() {
    this.#wanted = false;
    this.connection.send({ type: "unsubscribe", topic: "dashboard" });
  }

  #subscribe() {
    this.connection.send({ type: "subscribe", topic: "dashboard", since: this.feed.at });
  }

  #hear(text) {
    const message = JSON.parse(text);
    if (message.type === "point") {
      this.#point = message;
      this.take([message], text.length);
    } else if (message.type === "clock" && this.#point) {
      clock.take(message, epochOf(this.#point));
    } else if (message.type === "error") {
      this.onerror(message.text);
    }
  }
}

export class EventStream extends Way {
  #source = null;
  #timer = null; // until it is opened anew

  constructor() {
    super("Event stream");
  }

  // The browser comes back by itself, and tells the last event's id; but not where it was refused, and it
  // does not notice a stream that is dead but not closed. Pages that rest must let go of theirs, as all of them
  // together may have six connections to a server.
  start() {
    this.stop();
    this.#source = new EventSource(`/data/events${this.query}`);
    this.#source.onopen = () => this.#again(PATIENCE);
    this.#source.onerror = () => this.#again(this.#source.readyState === EventSource.CLOSED ? PAUSE : PATIENCE);
    this.#source.onmessage = ({ data, lastEventId }) => {
      this.take([JSON.parse(data)], `id: ${lastEventId}\ndata: ${data}\n\n`.length);
      this.#again(PATIENCE);
    };
  }

  stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  #again(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.start(), delay);
  }
}

// Asks every `feed.period` seconds.
export class Polling extends Way {
  #run = null;

  constructor() {
    super("Polling");
  }

  start() {
    this.#run = new AbortController();
    this.#poll(this.#run.signal);
  }

  stop() {
    this.#run?.abort();
  }

  async #poll(stopped) {
    while (!stopped.aborted) {
      const next = now() + this.feed.period;
      try {
        const signal = AbortSignal.any([stopped, AbortSignal.timeout(PATIENCE)]);
        const response = await fetch(`/data/poll${this.query}`, { signal });
        const text = await response.text();
        if (response.ok) this.take(JSON.parse(text).points, text.length);
      } catch {
        // stopped, or no answer: the next question may have one, and the page says what is stale
      }
      await new Promise((done) => setTimeout(done, (next - now()) * 1000));
    }
  }
}
