// What every page has around it: the way home, the state of its connection and a button that cuts it, and where
// its program lies. `<body data-title="Chat" data-source="hyperws/demo/chat/">` is all that a page says.

import { element } from "./dom.js";

const WORDS = { connecting: "connecting", open: "connected", waiting: "offline", closed: "closed" };

const { title, source, about } = document.body.dataset;
const state = element("span", { className: "state" });
state.setAttribute("role", "status");
const retry = element("span", { className: "number muted", hidden: true }); // not to be read out each second
const cut = element("button", { type: "button", className: "quiet", textContent: "Cut", hidden: true });
cut.title = "Cut the connection, and watch it heal";

const home = element("a", { href: "/", className: "home" }, element("img", { src: "/shared/icon.svg", alt: "", width: 24, height: 24 }), element("span", { textContent: "hyperws demo" }));
home.ariaLabel = "hyperws demo"; // also where there is no room for the words
document.body.prepend(
  element("header", {}, home, element("h1", { textContent: title }), element("div", { className: "link" }, element("div", {}, state, retry), cut)),
);
if (source) document.body.append(element("footer", {}, "The program: ", element("code", { textContent: source }), about ?? ""));

let shown = null; // the connection whose state is shown

// Pass this as `onstate`: it shows the state of a connection, and lets only an open one be used, by all controls
// in the page that have the attribute `data-online`.
export function showState(connection) {
  if (!shown) {
    cut.hidden = false;
    cut.addEventListener("click", () => shown.cut());
  }
  shown = connection;
  document.body.dataset.state = connection.state;
  cut.disabled = connection.state !== "open";
  for (const control of document.querySelectorAll("[data-online]")) control.disabled = connection.state !== "open";
  sayState();
}

function sayState() {
  if (!shown) return;
  let words = WORDS[shown.state];
  if (["waiting", "closed"].includes(shown.state) && shown.reason) words += `: ${shown.reason}`;
  if (state.textContent !== words) state.textContent = words;
  retry.hidden = shown.state !== "waiting";
  retry.textContent = `next try in ${Math.max(0, Math.ceil((shown.retryAt - Date.now()) / 1000))} s`;
}

setInterval(sayState, 250);
