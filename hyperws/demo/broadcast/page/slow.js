// The slow reader: starts and ends a feed, counts what this page gets of it, and tells what becomes of the other
// reader, in figures, in words and in a picture.

import { byId } from "/shared/dom.js";
import { addLine } from "/shared/log.js";
import { draw } from "./picture.js";

const POLICIES = {
  close:
    "The server keeps 1 MiB for a peer that is too slow. Once all of it waits, the peer is cut off with 1013. " +
    "For chats and logs, where whoever misses something has to come back.",
  drop:
    "The server keeps 1 MiB for a peer that is too slow. While half of it waits, it leaves out what is published. " +
    "For feeds where less is fine.",
  latest:
    "As soon as the peer's socket takes nothing more, the server keeps only the last number for it. " +
    "For quotes, cursors and positions.",
};
const ACTS = {
  drop: "half of its queue waits, and the server leaves out what comes now",
  latest: "its socket takes nothing more, and the server keeps only the last number for it",
};
const NOTHING = { running: false, reading: true, published: 0, received: 0, skipped: 0, ended: false, dropped: 0, closed: null };

export class SlowReader {
  #send;
  #policy;
  #now = NOTHING; // the last report
  #points = []; // of the picture
  #startedAt;
  #acted = false; // has the policy, since the reader stopped reading?
  #cutAt = null; // how many were published when the reader was cut off
  #own = 0;
  #missed = 0;
  #last = 0;

  constructor(send) {
    this.#send = send;
    const form = byId("feed");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#now.running) send({ type: "stop" });
      else this.#start(form.elements.policy.value, Number(byId("rate").value));
    });
    byId("read").addEventListener("click", () => send({ type: "reading", on: !this.#now.reading }));
    form.addEventListener("change", () => this.#explain(form.elements.policy.value));
    this.#explain(form.elements.policy.value);
    new ResizeObserver(() => this.#draw()).observe(byId("picture"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  #explain(policy) {
    byId("policy").textContent = POLICIES[policy];
  }

  #start(policy, rate) {
    this.#policy = policy;
    this.#now = { ...NOTHING, running: true };
    this.#points = [];
    this.#startedAt = performance.now();
    this.#acted = false;
    this.#cutAt = null;
    this.#own = this.#missed = this.#last = 0;
    byId("story").replaceChildren();
    this.#send({ type: "start", policy, rate });
    this.#show();
    this.#tell(`A feed of ${rate} numbers a second, and a reader with the policy "${policy}". Now stop its reading.`);
  }

  // This page is the other reader.
  number({ number }) {
    this.#own += 1;
    this.#missed += number - this.#last - 1;
    this.#last = number;
  }

  report(now) {
    const before = this.#now;
    this.#now = now;
    if (now.closed && this.#cutAt === null) this.#cutAt = now.published;
    this.#tellChanges(before, now);
    this.#show();
  }

  // The feed ends before its time.
  broken(why) {
    this.#now = { ...this.#now, running: false };
    this.#tell(why, "error");
    this.#show();
  }

  lost() {
    if (this.#now.running) this.broken("The connection was lost, and the feed ended with it.");
  }

  // What the reader may still get: from the server, or from the system once the server has cut it off.
  get #waiting() {
    const { published, received, dropped, ended } = this.#now;
    return ended ? 0 : Math.max(0, (this.#cutAt ?? published) - received - dropped);
  }

  #tellChanges(before, now) {
    const at = `At number ${now.published}`;
    if (before.reading && !now.reading) {
      this.#tell(`${at}, the reader stops reading. What is for it waits: first in the system, then in the server.`);
    }
    if (!now.reading && now.dropped > before.dropped && !this.#acted) {
      this.#acted = true;
      this.#tell(`${at}, ${ACTS[this.#policy]}.`);
    }
    if (now.closed && !before.closed) {
      const why = now.closed === 1013 ? "all of its queue waits, and " : "";
      this.#tell(`${at}, ${why}the server cuts the reader off with ${now.closed}.`, "error");
    }
    if (!before.reading && now.reading) {
      this.#acted = false;
      this.#tell(`${at}, the reader reads again.`);
    }
    if (now.skipped > before.skipped) this.#tell(`It finds ${now.skipped - before.skipped} numbers missing.`);
    if (now.ended && !before.ended) this.#tell(`It comes to the end of its connection after number ${now.last}.`);
    if (before.running && !now.running) {
      const lost = now.published - now.received;
      const rest = lost ? `${now.received}, and ${lost} never` : "all as well";
      this.#tell(`The end. Of ${now.published} numbers this page got ${this.#own}; the slow reader ${rest}.`);
    }
  }

  #tell(words, kind = "") {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    addLine(byId("story"), kind, words, { after: `${seconds} s` });
  }

  #show() {
    const { running, reading, published, received } = this.#now;
    const waiting = this.#waiting;
    const figures = {
      published, received, waiting, dropped: published - received - waiting, own: this.#own, missed: this.#missed,
    };
    for (const [id, figure] of Object.entries(figures)) byId(id).textContent = figure;

    byId("start").textContent = running ? "End the feed" : "Start the feed";
    byId("read").disabled = !running;
    byId("read").textContent = reading ? "Stop reading" : "Read again";
    for (const control of byId("feed").querySelectorAll("input, select")) control.disabled = running;

    this.#points.push({ at: performance.now() - this.#startedAt, received, waiting, published });
    this.#draw();
  }

  #draw() {
    draw(byId("picture"), this.#points, (name) => getComputedStyle(document.querySelector(`dt.${name}`)).color);
  }
}
