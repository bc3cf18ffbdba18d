// Chat: shows what everyone says. An own message is shown when the server sends it back, like all others.

import { addLine } from "./log.js";
import { connect } from "./socket.js";

const section = document.getElementById("chat");
const log = section.querySelector(".log");
const input = document.getElementById("chat-text");
let you; // the address under which the server knows this connection

const send = connect(section, "/chat", {
  onMessage(data) {
    const message = JSON.parse(data);
    if (message.type === "welcome") {
      you = message.you;
      input.maxLength = message.limit;
      addLine(log, "notice", message.text);
    } else if (message.type === "message") {
      const own = message.from === you;
      addLine(log, own ? "own" : "other", message.text, { before: own ? "You" : message.from });
    } else if (message.type === "error") {
      addLine(log, "error", message.text);
    }
  },
});

section.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send(JSON.stringify({ type: "message", text: input.value }));
  input.value = "";
});
