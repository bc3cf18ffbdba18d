// The game: keeps a copy of the arena, shows it, and sends where to turn.

import { connect } from "/hyperws.js";
import { byId, element } from "/shared/dom.js";
import { showState } from "/shared/shell.js";
import { colourOf, id as token, name, rename } from "/shared/visitor.js";
import { Arena, digest } from "./arena.js";
import { Drawing } from "./drawing.js";
import { steer } from "./steering.js";

const TICKS = 10; // a second
const STILL = 1500; // ms without a tick after which an arena with snakes stands still
const ASK = 1000; // ms from one request for a snapshot to the next

const arena = new Arena();
let me = null; // which snake is ours
let plays = sessionStorage.plays === location.pathname; // also after the page was loaded again
let same = true; // as the server's
let ticked = 0;
let asked = -ASK;

const drawing = new Drawing(byId("canvas"), arena, () => me);

const connection = connect(location.pathname, {
  onstate: showState,
  onopen() {
    if (plays) join();
  },
  onmessage(message) {
    if (message.type === "snapshot") {
      same = arena.replace(message);
      show();
    } else if (message.type === "delta") {
      take(message);
    } else if (message.type === "joined") {
      me = message.you;
    } else if (message.type === "error") {
      if (own()) return say(message.text);
      play(false);
      byId("complaint").textContent = message.text;
    }
  },
});

function take(message) {
  same = arena.apply(message);
  if (!same && performance.now() > asked + ASK) {
    asked = performance.now();
    connection.send({ type: "snapshot" });
  }
  const { news = [], refused = {} } = message.delta;
  if (news.length) say(news.join(" "));
  if (me in refused) say(refused[me]);
  show();
}

function own() {
  return arena.state?.snakes[me];
}

function join() {
  byId("complaint").textContent = "";
  play(connection.send({ type: "join", token, name }));
}

function play(whether) {
  plays = whether;
  if (plays) sessionStorage.plays = location.pathname;
  else delete sessionStorage.plays;
  byId("entrance").hidden = plays;
  byId("pad").hidden = !plays;
}

play(plays);
byId("name").value = name;
byId("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("name").value = rename(byId("name").value);
  join();
});

steer(byId("arena"), (to) => {
  if (own()) connection.send({ type: "turn", to });
});

// --- what is seen

function show() {
  if (!arena.state) return;
  ticked = performance.now();
  drawing.tick();
  showNotice();
  showScores();
  showSync();
  expose();
}

// Read out by those who don't see the arena, so only what matters is said.
function say(text) {
  byId("news").textContent = text;
}

function showNotice() {
  const { tick, bodies } = arena.state;
  const waits = own() && !bodies[me].length;
  byId("notice").hidden = !waits;
  const seconds = Math.max(0, Math.ceil((own()?.due - tick) / TICKS));
  if (waits) byId("notice").textContent = seconds ? `Back in ${seconds}` : "Waiting for a free place";
}

let standings = "";

function showScores() {
  const { snakes, crown } = arena.state;
  const entries = Object.entries(snakes).sort(([, one], [, other]) => other.score - one.score);
  const now = JSON.stringify([me, crown, entries.map(([player, { name, score, away }]) => [player, name, score, away])]);
  if (now === standings) return;
  standings = now;
  byId("scores").replaceChildren(...entries.map(([player, snake]) => scoreLine(player, snake, player === crown)));
}

function scoreLine(player, { name, score, away }, crowned) {
  const who = element("span", { textContent: away ? `${name} (away)` : name });
  const points = element("span", { className: "number", textContent: score });
  const line = element("li", {}, who, points);
  line.classList.toggle("own", player === me);
  line.classList.toggle("crowned", crowned);
  line.style.color = colourOf(name);
  return line;
}

function showSync() {
  const still = performance.now() > ticked + STILL && Object.keys(arena.state?.snakes ?? {}).length > 0;
  let words = same ? "✓ in sync" : "… asking for a snapshot";
  if (still) words = "… stands still";
  if (!arena.state) words = "… waiting";
  if (connection.state !== "open") words = "… no connection";
  if (byId("sync").textContent !== words) byId("sync").textContent = words;
}

setInterval(showSync, 500);

// For programs that look at the page.
function expose() {
  const { tick, bodies } = arena.state;
  const { score = "", heading = "" } = own() ?? {};
  const length = bodies[me]?.length ?? 0;
  Object.assign(byId("canvas").dataset, { tick, hash: digest(arena.state), player: me ?? "", score, heading, length });
}
