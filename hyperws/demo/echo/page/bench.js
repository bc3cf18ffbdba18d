// Sends many messages, several of them in flight, and keeps the time that each took to come back.

import { Lost, randomBytes } from "./echoes.js";

export class Bench {
  times = []; // ms, of each message that came back
  lost = 0; // messages that were on their way when a connection broke; others are sent instead
  changed = 0; // messages that did not come back as they were sent

  #echoes;
  #count;
  #inFlight;
  #bytes; // all messages have these, but for a number at their beginning
  #sent = 0; // messages that have come back or are on their way
  #startedAt = performance.now();
  #stoppedAt = null;
  #brokeAt = null; // while there is no connection
  #away = 0; // ms that there was none, before
  #stop;
  #stopped = new Promise((resolve) => (this.#stop = resolve));

  constructor(echoes, { count, size, inFlight }) {
    this.#echoes = echoes;
    this.#count = count;
    this.#inFlight = inFlight;
    this.#bytes = randomBytes(size);
  }

  // Runs until all messages have come back, or `stop` is called.
  async run() {
    const lanes = Array.from({ length: this.#inFlight }, () => this.#keepSending());
    await Promise.race([Promise.all(lanes), this.#stopped]);
    this.stop();
  }

  stop() {
    this.#stoppedAt ??= performance.now();
    this.#stop();
  }

  // How long it took, without the time when there was no connection.
  get seconds() {
    const end = this.#brokeAt ?? this.#stoppedAt ?? performance.now();
    return (end - this.#startedAt - this.#away) / 1000;
  }

  // One message after the other. As many of these as are to be in flight run side by side.
  async #keepSending() {
    while (this.#stoppedAt === null && this.#sent < this.#count) {
      const message = this.#numbered(this.#sent++);
      try {
        const { ms, same } = await this.#echoes.exchange(message);
        if (this.#stoppedAt !== null) return;
        this.times.push(ms);
        if (!same) this.changed++;
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        this.#sent--;
        this.lost++;
        await this.#untilConnected();
      }
    }
  }

  async #untilConnected() {
    this.#brokeAt ??= performance.now();
    await this.#echoes.open();
    if (this.#brokeAt === null || this.#stoppedAt !== null) return;
    this.#away += performance.now() - this.#brokeAt;
    this.#brokeAt = null;
  }

  #numbered(number) {
    const message = this.#bytes.slice();
    if (message.length >= 4) new DataView(message.buffer).setUint32(0, number);
    return message;
  }
}
