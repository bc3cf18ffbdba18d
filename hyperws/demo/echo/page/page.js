// Echo: what is sent comes back, and the page shows that it is the same and how long it took.

import { byId } from "/shared/dom.js";
import { addLine } from "/shared/log.js";
import { showState } from "/shared/shell.js";
import { Bench } from "./bench.js";
import { distribute, drawBars, within } from "./distribution.js";
import { Echoes, LIMIT, Lost, randomBytes } from "./echoes.js";

const log = byId("echoes");
const utf8 = new TextEncoder();
const PREVIEW = 200; // characters of a text that are shown
const PREVIEW_BYTES = 16;

const echoes = new Echoes("/ws", {
  onstate: showState,
  ongreeting: (key) => addLine(log, "notice", `Connected. The key of the handshake was ${key}`),
});

// --- one message

function onSubmit(form, send) {
  byId(form).addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
}

onSubmit("text-form", () => {
  const text = byId("text").value;
  send(byId("as-bytes").checked ? utf8.encode(text) : text);
});

onSubmit("random-form", () => send(randomBytes(Number(byId("random-size").value))));

onSubmit("file-form", async () => {
  const [file] = byId("file").files;
  if (!refuses(file.size)) send(new Uint8Array(await file.arrayBuffer()));
});

async function send(message) {
  if (refuses(lengthOf(message))) return;
  try {
    const { data, ms, same } = await echoes.exchange(message);
    addLine(log, "", preview(data), {
      before: `${typeof data === "string" ? "text" : "binary"}, ${inWords(lengthOf(data))}`,
      after: `${same ? "the same" : "not what was sent"}, after ${ms.toFixed(1)} ms`,
    });
  } catch (error) {
    if (!(error instanceof Lost)) throw error;
    addLine(log, "error", `A message of ${inWords(lengthOf(message))} is lost: ${error.message}`);
  }
}

// The server would close the connection, as it takes no message that is longer.
function refuses(size) {
  const refusal = byId("refusal");
  refusal.hidden = size <= LIMIT;
  refusal.textContent = `Not sent: that is ${inWords(size)}, and the server takes ${inWords(LIMIT)} at most.`;
  return size > LIMIT;
}

function preview(data) {
  if (typeof data === "string") return data.length > PREVIEW ? `${data.slice(0, PREVIEW)}…` : data;
  const first = Array.from(new Uint8Array(data, 0, Math.min(data.byteLength, PREVIEW_BYTES)));
  const hex = first.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return data.byteLength > PREVIEW_BYTES ? `${hex} …` : hex;
}

function lengthOf(message) {
  return typeof message === "string" ? utf8.encode(message).length : message.byteLength;
}

function inWords(bytes) {
  return bytes === 1 ? "1 byte" : `${number(bytes)} bytes`;
}

function number(value, digits = 0) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// --- many messages

let bench = null;

onSubmit("bench-form", async () => {
  const [count, size, inFlight] = ["count", "size", "in-flight"].map((id) => Number(byId(id).value));
  bench = new Bench(echoes, { count, size, inFlight });
  showRunning(true);
  byId("progress").max = count;
  const timer = setInterval(showProgress, 100);
  await bench.run();
  clearInterval(timer);
  showRunning(false);
  showResults(count, size);
});

byId("stop").addEventListener("click", () => bench.stop());

function showRunning(running) {
  const form = byId("bench-form");
  const focused = form.contains(document.activeElement);
  for (const input of form.querySelectorAll("input")) input.disabled = running;
  byId("start").hidden = running;
  byId("stop").hidden = !running;
  byId("progress").hidden = !running;
  if (focused) byId(running ? "stop" : "start").focus(); // a keyboard's user is not sent to the top of the page
  if (running) showProgress();
}

function showProgress() {
  byId("progress").value = bench.times.length;
}

function showResults(count, size) {
  const { times, lost, changed, seconds } = bench;
  const words = [`${number(times.length)} of ${number(count)} messages came back in ${number(seconds, 2)} s`];
  words.push(changed ? `${number(changed)} of them were not what was sent` : "all of them the same");
  if (lost) words.push(`${number(lost)} were lost with a connection`);
  byId("outcome").textContent = `${words.join(", ")}.`;
  byId("outcome").classList.toggle("error", changed > 0);

  byId("results").hidden = times.length === 0;
  if (times.length === 0) return;
  const sorted = Float64Array.from(times).sort();
  const median = number(within(sorted, 0.5), 1);
  const p99 = number(within(sorted, 0.99), 1);
  byId("per-second").textContent = number(times.length / seconds);
  byId("megabytes").textContent = number((times.length * size) / seconds / 1e6, 1);
  byId("median").textContent = median;
  byId("p99").textContent = p99;

  const { counts, from, width } = distribute(sorted);
  drawBars(byId("bars"), { counts, from, width });
  byId("bars").setAttribute("aria-label", `How many messages took how long: half at most ${median} ms, 99 % at most ${p99} ms`);
  byId("fastest").textContent = `${number(from, 1)} ms`;
  const end = `${number(from + width * (counts.length - 1), 1)} ms`;
  byId("slowest").textContent = counts.at(-1) ? `${end} to ${number(sorted.at(-1), 1)} ms` : end;
}
