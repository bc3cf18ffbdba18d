// Requests in a table, each with its answer, once that has come: they are matched by their ids.

import { element } from "/shared/dom.js";

const MOST_ROWS = 60;

// JSON on one line that can be broken.
export function written(value) {
  return JSON.stringify(value, null, 1).replace(/\n */g, " ");
}

export class Requests {
  #body;
  #waiting = []; // { id, sentAt, row }, in the order in which they were sent

  constructor(body) {
    this.#body = body;
  }

  get inFlight() {
    return this.#waiting.length;
  }

  // Note that this request has just been sent.
  sent(request) {
    const row = this.#body.insertRow(0);
    row.className = "pending";
    addCode(row, written(request.id));
    addCode(row, written(request));
    row.insertCell().textContent = "waiting";
    row.insertCell().className = "number";
    this.#waiting.push({ id: request.id, sentAt: performance.now(), row });
    if (this.#body.rows.length > MOST_ROWS) this.#body.deleteRow(-1);
  }

  // Show an answer beside its request. Returns whether there is one that it belongs to.
  answered(answer) {
    const index = this.#waiting.findIndex(({ id }) => id === answer.id);
    if (index < 0) return false;
    const [{ sentAt, row }] = this.#waiting.splice(index, 1);
    row.className = answer.type === "error" ? "failed" : "";
    row.cells[2].replaceChildren(code(written(answer)));
    row.cells[3].textContent = `${(performance.now() - sentAt).toFixed(1)} ms`;
    if (index > 0) row.cells[3].append(element("small", { textContent: `overtook ${index}` })); // those that were sent before, and still wait
    return true;
  }

  // The connection is gone: what has no answer gets none.
  lost() {
    for (const { row } of this.#waiting.splice(0)) {
      row.className = "failed";
      row.cells[2].textContent = "lost with the connection";
    }
  }
}

function addCode(row, text) {
  row.insertCell().append(code(text));
}

function code(text) {
  return element("code", { textContent: text });
}
