// The game: keeps a copy of the arena, shows it, and sends where to turn.

import { connect } from "/hyperws.js";
import { showState } from "/shared/shell.js";
import { colourOf, id as token, name, rename } from "/shared/visitor.js";
import { Arena, digest } from "./arena.js";
import { Drawing } from "./drawing.js";
import { steer } from "./steering.js";

const TICKS = 10; // a second
const STILL = 1500; // ms without a tick after which an arena with snakes stands still
const ASK = 1000; // ms from one request for a snapshot to the next

const $ = (id) => document.getElementById(id);
const arena = new Arena();
let me = null; // which snake is ours
let plays = sessionStorage.plays === location.pathname; // also after the page was loaded again
let same = true; // as the server's
let ticked = 0;
let asked = -ASK;

const drawing = new Drawing($("canvas"), arena, () => me);

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
      $("complaint").textContent = message.text;
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
  $("complaint").textContent = "";
  play(connection.send({ type: "join", token, name }));
}

function play(whether) {
  plays = whether;
  if (plays) sessionStorage.plays = location.pathname;
  else delete sessionStorage.plays;
  $("entrance").hidden = plays;
  $("pad").hidden = !plays;
}

play(plays);
$("name").value = name;
$("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  $("name").value = rename($("name").value);
  join();
});

steer($("arena"), (to) => {
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
  $("news").textContent = text;
}

function showNotice() {
  const { tick, bodies } = arena.state;
  const waits = own() && !bodies[me].length;
  $("notice").hidden = !waits;
  const seconds = Math.max(0, Math.ceil((own()?.due - tick) / TICKS));
  if (waits) $("notice").textContent = seconds ? `Back in ${seconds}` : "Waiting for a free place";
}

let standings = "";

function showScores() {
  const { snakes, crown } = arena.state;
  const entries = Object.entries(snakes).sort(([, one], [, other]) => other.score - one.score);
  const now = JSON.stringify([me, crown, entries.map(([player, { name, score, away }]) => [player, name, score, away])]);
  if (now === standings) return;
  standings = now;
  $("scores").replaceChildren(...entries.map(([player, snake]) => scoreLine(player, snake, player === crown)));
}

function scoreLine(player, { name, score, away }, crowned) {
  const line = document.createElement("li");
  line.classList.toggle("own", player === me);
  line.classList.toggle("crowned", crowned);
  line.style.color = colourOf(name);
  const who = document.createElement("span");
  who.textContent = away ? `${name} (away)` : name;
  const points = document.createElement("span");
  points.className = "number";
  points.textContent = score;
  line.append(who, points);
  return line;
}

function showSync() {
  const still = performance.now() > ticked + STILL && Object.keys(arena.state?.snakes ?? {}).length > 0;
  const words = still ? "stands still" : same ? "in sync ✓" : "asks for a snapshot";
  if ($("sync").textContent !== words) $("sync").textContent = words;
}

setInterval(showSync, 500);

// For programs that look at the page.
function expose() {
  const { tick, bodies } = arena.state;
  const { score = "", heading = "" } = own() ?? {};
  const length = bodies[me]?.length ?? 0;
  Object.assign($("canvas").dataset, { tick, hash: digest(arena.state), player: me ?? "", score, heading, length });
}
