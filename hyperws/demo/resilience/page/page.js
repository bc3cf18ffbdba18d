// Resilience: draws how each tick came, and tells what becomes of the connection.

import { connect } from "/hyperws.js";
import { byId, element } from "/shared/dom.js";
import { addLine } from "/shared/log.js";
import { showState } from "/shared/shell.js";
import { Line } from "./line.js";

const SQUARES = 600; // at most; older ones leave
const TOPIC = "resilience";

const ticks = byId("ticks");
const counts = { live: 0, late: 0, lost: 0, reconnects: 0 };
let heard = null; // when the server last said something, by performance.now()
let lost = null; // that of the connection before, until this one has its ticks
let longest = 0; // outage, in ms
let early = null; // ticks that have come before it is known which of them were missed

const connection = connect("/resilience", {
  heartbeat: 3_000,
  onstate(connection) {
    showState(connection);
    if (connection.state === "waiting") wait(connection);
    if (connection.state === "open") early = [];
  },
  onmessage(message) {
    heard = performance.now();
    HANDLERS[message.type]?.(message);
  },
});
connection.subscribe(TOPIC, { onlost: lose });
const line = new Line(connection);

const HANDLERS = {
  connected({ client }) {
    say("notice", `Connected as ${client}`);
  },
  tick(tick) {
    if (early) early.push(tick);
    else draw("live");
  },
  subscribed({ at }) {
    const begun = placeOf(at);
    const missed = early.filter((tick) => placeOf(tick.at) <= begun).length;
    early.forEach((_, index) => draw(index < missed ? "late" : "live"));
    early = null;
    if (lost !== null) comeBack(missed);
  },
  missing: lose,
  heartbeat({ count }) {
    byId("processed").textContent = count;
  },
  processed({ original }) {
    say("own", original, "processed");
  },
  error({ text }) {
    byId("trouble").textContent = text;
  },
  holding: () => line.fill(),
  reading: () => line.stop(),
  taken: ({ size }) => line.take(size),
};

// --- what becomes of the connection

function wait({ reason, code, retryAt }) {
  const why = reason || `the connection broke (${code})`;
  say("error", lost === null ? `Lost: ${why}` : `Not back: ${why}`);
  lost ??= heard;
  say("notice", `Waiting ${seconds(retryAt - Date.now())}`);
}

function comeBack(missed) {
  const outage = heard - lost;
  lost = null;
  longest = Math.max(longest, outage);
  byId("longest").textContent = seconds(longest);
  count("reconnects");
  say("notice", `Back after ${seconds(outage)}: ${missed} ${missed === 1 ? "tick" : "ticks"} recovered`);
}

function lose() {
  draw("lost");
  say("error", "The server does not know any more what was missed: some ticks may be lost");
}

// --- what is shown

function draw(kind) {
  ticks.append(element("i", { className: kind }));
  if (ticks.childElementCount > SQUARES) ticks.firstElementChild.remove();
  ticks.scrollTop = ticks.scrollHeight;
  count(kind);
  ticks.ariaLabel = `Ticks: ${counts.live} came live, ${counts.late} were recovered, ${counts.lost} losses`;
}

function count(what) {
  counts[what] += 1;
  byId(what).textContent = counts[what];
}

function say(kind, text, after = new Date().toLocaleTimeString()) {
  addLine(byId("log"), kind, text, { after });
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

function placeOf(at) {
  return Number(at.split(":").at(-1));
}

// --- what can be done

byId("close").addEventListener("click", () => connection.send({ type: "close" }));
byId("silence").addEventListener("click", () => {
  if (connection.send({ type: "silence" })) say("notice", "The server falls silent");
});
byId("fill").addEventListener("click", () => connection.send({ type: "hold" }));
byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("trouble").textContent = "";
  if (connection.send({ type: "message", text: byId("text").value })) byId("text").value = "";
});
