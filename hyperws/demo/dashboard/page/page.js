// The dashboard. Points come in whenever they like; charts are drawn once a frame, figures are said four times
// a second, and nothing happens in a page that nobody looks at.

import { byId, element } from "/shared/dom.js";
import { showState } from "/shared/shell.js";
import { Chart } from "./chart.js";
import { clock, EventStream, Polling, Socket } from "./ways.js";

const SAY = 250; // ms
const CALM = 1_000; // ms between two frames for those who don't like motion

const period = byId("period");
const trouble = byId("trouble");
const socket = new Socket(showState, (text) => (trouble.textContent = text));
const polling = new Polling();
const ways = [socket, new EventStream(), polling];

const digits = (count) => (value) => value?.toFixed(count) ?? "–";
const whole = digits(0);
const tenths = digits(1);
const megabytes = (bytes) => tenths(bytes && bytes / 1e6);
const milliseconds = (seconds) => tenths(seconds && seconds * 1000);

// --- charts

const byWay = ways.map(({ name, feed }) => {
  const chart = new Chart(byId("ways"), feed, {
    title: name,
    lines: [{ column: "late", label: "late by, ms", ink: "--accent" }],
    least: 5,
    show: tenths,
  });
  const state = element("p", { className: "muted", role: "status" });
  chart.element.append(state);
  return { chart, state };
});

const ofProcess = [
  {
    title: "Messages a second",
    lines: [
      { column: "sent", label: "sent", ink: "--accent" },
      { column: "received", label: "received", ink: "--wait" },
    ],
    least: 10,
    show: whole,
  },
  {
    title: "Connections",
    lines: [
      { column: "sockets", label: "sockets", ink: "--accent" },
      { column: "streams", label: "streams", ink: "--wait" },
    ],
    least: 5,
    show: whole,
  },
  { title: "CPU", lines: [{ column: "cpu", label: "% of a core", ink: "--accent" }], least: 10, show: tenths },
  { title: "Memory", lines: [{ column: "memory", label: "MB", ink: "--accent" }], least: 10e6, show: megabytes },
].map((options) => new Chart(byId("process"), socket.feed, options));

const charts = [...byWay.map(({ chart }) => chart), ...ofProcess];

// --- figures

const ROWS = [
  ["Process", ({ last }) => last?.pid ?? "–"],
  ["Point", ({ last }) => last?.n ?? "–"],
  ["Event loop late by, ms", ({ last }) => tenths(last?.late)],
  ["Messages received, a second", ({ last }) => tenths(last?.received)],
  ["Points sent, a second", ({ last }) => tenths(last?.sent)],
  ["HTTP responses, a second", ({ last }) => tenths(last?.answers)],
  ["WebSockets open", ({ last }) => whole(last?.sockets)],
  ["Event streams open", ({ last }) => whole(last?.streams)],
  ["CPU, % of a core", ({ last }) => tenths(last?.cpu)],
  ["Memory, MB", ({ last }) => megabytes(last?.memory)],
  ["Points here, a second", (feed, { points }) => whole(points)],
  ["kB here, a second", (feed, { bytes }) => tenths(bytes / 1000)],
  ["Latency, ms", (feed, { mean }) => milliseconds(mean)],
  ["Longest latency, ms", (feed, { longest }) => milliseconds(longest)],
  ["Points that never came", ({ missing }) => missing],
];

const table = document.querySelector("table");
table.tHead.rows[0].append(...ways.map(({ name }) => heading("col", "number", name)));
const cells = ROWS.map(([label]) => {
  const values = ways.map(() => element("td", { className: "number" }));
  const row = element("tr", {}, heading("row", "", label), ...values);
  table.tBodies[0].append(row);
  return values;
});

function heading(scope, className, text) {
  return element("th", { scope, className }, text);
}

function say() {
  const summaries = ways.map(({ feed }) => feed.summary());
  ROWS.forEach(([, figure], row) => {
    ways.forEach(({ feed }, column) => set(cells[row][column], String(figure(feed, summaries[column]))));
  });
  for (const chart of charts) chart.say();
  ways.forEach(({ feed }, index) => sayHow(feed, byWay[index].state));
  const { error } = clock;
  set(
    byId("clock"),
    error === undefined
      ? "Latency is not known yet: the server's clock has to be asked first."
      : `Latency is from the making of a point until it is here, by the server's clock. That is asked over the WebSocket once a second, and known to ±${(error * 1000).toFixed(1)} ms: half of the quickest way there and back. Points of another process than the socket's are by another clock.`,
  );
}

function sayHow({ last, missing, staleSince }, state) {
  const lost = missing ? `, ${missing} points never came` : "";
  const fresh = last ? `live: process ${last.pid}${lost}` : "nothing yet";
  state.className = staleSince ? "error" : "muted";
  set(state, staleSince ? `stale since ${staleSince.toLocaleTimeString()}${lost}` : fresh);
}

// Only what has changed is told to those who listen to a page.
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// --- while somebody looks

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let frame = null;
let saying = null;
let drawn = 0;

function draw(time) {
  frame = requestAnimationFrame(draw);
  if (calm.matches && time - drawn < CALM) return;
  drawn = time;
  for (const chart of charts) chart.draw();
}

function look() {
  const paused = frame === null;
  if (document.hidden === paused) return;
  if (document.hidden) {
    cancelAnimationFrame(frame);
    clearInterval(saying);
    frame = null;
    for (const way of ways) way.stop();
  } else {
    frame = requestAnimationFrame(draw);
    saying = setInterval(say, SAY);
    for (const way of ways) {
      way.feed.resume();
      way.start();
    }
  }
}

function choosePeriod() {
  polling.feed.period = Number(period.value) / 1000;
}

period.addEventListener("change", choosePeriod);
document.addEventListener("visibilitychange", look);
choosePeriod();
look();
