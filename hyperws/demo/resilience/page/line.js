// What happens to a page that sends faster than the server reads: its messages wait in `bufferedAmount`, `send()`
// refuses more of them in time, and `drained()` says when there is room again.

import { byId } from "/shared/dom.js";

const CHUNK = 512 * 1024; // characters
const MOST = 32; // chunks; the system takes some of them before anything waits in the page

export class Line {
  #connection;
  #held = false;
  sent = 0; // chunks
  taken = 0;
  refused = 0;

  constructor(connection) {
    this.#connection = connection;
  }

  // While the server does not read: send as long as it is allowed to.
  async fill() {
    byId("outcome").textContent = "The server does not read";
    byId("filled").hidden = false;
    this.#held = true;
    this.sent = this.taken = this.refused = 0;
    const message = { type: "chunk", data: noise() };
    while (this.#held && this.#connection.state === "open") {
      if (this.sent < MOST) this[this.#connection.send(message) ? "sent" : "refused"] += 1;
      this.#show();
      await new Promise((done) => setTimeout(done, 50));
    }
    if (this.#held) byId("outcome").textContent = "The connection is gone, and what waited went with it";
    await this.#connection.drained();
    this.#show();
  }

  // The server reads again.
  stop() {
    this.#held = false;
    byId("outcome").textContent = "The server reads again";
  }

  take() {
    this.taken += 1;
    this.#show();
    if (this.taken === this.sent) byId("outcome").textContent = "Everything has arrived";
  }

  #show() {
    const { bufferedAmount } = this.#connection;
    byId("waiting").value = bufferedAmount;
    byId("filling").textContent =
      `${this.sent} sent, ${this.taken} arrived, ${bufferedAmount.toLocaleString("en")} bytes wait here, ` +
      `send() refused ${this.refused} times`;
  }
}

// Text that compression can't make shorter.
function noise() {
  const bytes = crypto.getRandomValues(new Uint8Array(48 * 1024)); // farther back than compression looks
  const text = btoa(String.fromCharCode(...bytes));
  return text.repeat(CHUNK / text.length);
}
