// Echo: sends a text, or its bytes, and shows what comes back and how long it took.

import { addLine } from "./log.js";
import { connect } from "./socket.js";

const section = document.getElementById("echo");
const log = section.querySelector(".log");
const input = document.getElementById("echo-text");
const binary = document.getElementById("echo-binary");
let greeted; // has the first message, the handshake's key, arrived?
let sentAt; // when each message still on its way was sent; echoes return in order

const send = connect(section, "/ws", {
  onOpen() {
    greeted = false;
    sentAt = [];
  },
  onMessage(data) {
    if (!greeted) {
      greeted = true;
      addLine(log, "notice", `Connected with the key ${data}`);
      return;
    }
    const time = `${(performance.now() - sentAt.shift()).toFixed(1)} ms`;
    if (typeof data === "string") addLine(log, "echo", data, { after: time });
    else addLine(log, "echo", new TextDecoder().decode(data), { after: `${data.byteLength} bytes, ${time}` });
  },
});

section.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  sentAt.push(performance.now());
  send(binary.checked ? new TextEncoder().encode(input.value) : input.value);
  input.value = "";
});
