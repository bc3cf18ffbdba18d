// A WebSocket that comes back. It shows its state in the section that it belongs to, and reconnects with a
// growing, jittered delay, so that the clients of a restarted server do not all return at the same moment.

const FIRST_DELAY = 500; // ms
const LONGEST_DELAY = 10_000;

// Calls onOpen() at each new connection and onMessage(string or ArrayBuffer); returns a function that sends.
export function connect(section, path, { onOpen, onMessage }) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  let socket;
  let failures = 0;

  function show(state, words = state) {
    section.dataset.state = state;
    section.querySelector(".state").textContent = words;
    for (const button of section.querySelectorAll("button")) button.disabled = state !== "open";
  }

  function open() {
    show("connecting");
    socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      show("open");
      onOpen?.();
    };
    socket.onmessage = (event) => {
      failures = 0; // not in onopen: a server that accepts and closes at once is still failing
      onMessage(event.data);
    };
    socket.onclose = () => {
      const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** failures++) * (0.5 + Math.random() / 2);
      show("closed", `closed, retrying in ${Math.ceil(delay / 1000)} s`);
      setTimeout(open, delay);
    };
  }

  open();
  return (data) => socket.send(data);
}
