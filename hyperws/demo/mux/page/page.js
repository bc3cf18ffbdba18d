// Multiplexed protocol: several requests in flight on one socket, each answered by its id.

import { connect } from "/hyperws.js";
import { byId } from "/shared/dom.js";
import { addLine } from "/shared/log.js";
import { showState } from "/shared/shell.js";
import { Requests, written } from "./requests.js";

const requests = new Requests(byId("requests"));
let you = null;
let lastId = 0;

const connection = connect("/mux", {
  onstate(connection) {
    showState(connection);
    if (connection.state !== "open") requests.lost();
    showInFlight();
  },
  onmessage(message) {
    if (message.type === "welcome") {
      you = message.client_id;
      byId("you").textContent = you;
    } else if (message.type === "chat") {
      const own = message.client_id === you;
      addLine(byId("chat"), own ? "own" : "other", message.content, { before: own ? "You" : message.client_id });
    } else if (!requests.answered(message)) {
      remark(message.text ?? written(message), message.type === "error");
    }
    showInFlight();
  },
});

function showInFlight() {
  const count = String(requests.inFlight);
  if (byId("in-flight").textContent !== count) byId("in-flight").textContent = count;
}

// What there is to say about a request that has no id.
function remark(text, isError = false) {
  byId("remark").textContent = text;
  byId("remark").classList.toggle("error", isError);
}

// --- what is asked for

function ask({ type, ...fields }) {
  send({ type, id: ++lastId, ...fields });
}

function send(request) {
  if (connection.send(request)) requests.sent(request);
  showInFlight();
}

for (const button of document.querySelectorAll("[data-request]")) {
  button.addEventListener("click", () => ask(JSON.parse(button.dataset.request)));
}

const seconds = byId("seconds");
seconds.addEventListener("input", showSeconds);
showSeconds();

function showSeconds() {
  byId("chosen").textContent = Number(seconds.value).toFixed(1);
}

byId("wait-form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask({ type: "command", command: "wait", seconds: Number(seconds.value) });
});

byId("all").addEventListener("click", () => {
  for (const seconds of [1.5, 1, 0.5]) ask({ type: "command", command: "wait", seconds });
  for (const command of ["status", "time", "memory"]) ask({ type: "command", command });
  ask({ type: "ping" });
});

byId("chat-form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask({ type: "chat", content: byId("content").value });
  byId("content").value = "";
});

// It is sent as it stands, whatever it is.
byId("raw-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("raw").value;
  if (!connection.send(text)) return;
  const request = parse(text);
  const matchable = isId(request?.id);
  if (matchable) requests.sent(request);
  remark(matchable ? "" : "Sent. It has no id that an answer could be matched by.");
  showInFlight();
});

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isId(id) {
  return typeof id === "string" ? [...id].length <= 40 : Number.isSafeInteger(id) && id >= 0;
}
