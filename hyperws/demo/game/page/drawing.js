// Draws an arena on a canvas, sharp on every screen. Between two ticks, snakes glide from one to the other.

import { element } from "/shared/dom.js";
import { colourOf } from "/shared/visitor.js";
import { HEIGHT, WIDTH } from "./arena.js";

const TICK = 100; // ms
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const probe = document.body.appendChild(element("span", { hidden: true }));
const colours = new Map();
dark.addEventListener("change", () => colours.clear());

export class Drawing {
  #canvas;
  #brush;
  #arena;
  #me;
  #ticked = 0;
  #asked = false; // for the next frame

  // `me` is a function that returns whose snake is one's own.
  constructor(canvas, arena, me) {
    this.#canvas = canvas;
    this.#brush = canvas.getContext("2d");
    this.#arena = arena;
    this.#me = me;
    new ResizeObserver(() => this.#ask()).observe(canvas);
    dark.addEventListener("change", () => this.#ask());
  }

  // Call this after each change.
  tick() {
    this.#ticked = performance.now();
    this.#ask();
  }

  #ask() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#asked = false;
    const part = still.matches ? 1 : Math.min(1, (performance.now() - this.#ticked) / TICK);
    const size = this.#fit();
    const brush = this.#brush;
    brush.setTransform(size, 0, 0, size, 0, 0); // from here on, a cell is 1 wide
    brush.clearRect(0, 0, WIDTH, HEIGHT);
    const { state } = this.#arena;
    if (!state) return;
    brush.fillStyle = colour("var(--line)");
    for (let cell = 0; cell < WIDTH * HEIGHT; cell++) dot(brush, centre(cell), 0.06);
    brush.fillStyle = colour("var(--bad)");
    for (const cell of state.food) dot(brush, centre(cell), 0.3);
    const players = Object.keys(state.bodies).filter((player) => state.bodies[player].length);
    for (const player of players) this.#drawSnake(player, part);
    for (const player of players) this.#drawName(player, part);
    if (part < 1) this.#ask();
  }

  // Have as many pixels as the screen has. Returns how many of them a cell is wide.
  #fit() {
    const canvas = this.#canvas;
    const size = (canvas.clientWidth * devicePixelRatio) / WIDTH;
    const [width, height] = [Math.round(size * WIDTH), Math.round(size * HEIGHT)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    return size;
  }

  #drawSnake(player, part) {
    const brush = this.#brush;
    const { name, away, heading } = this.#arena.state.snakes[player];
    const line = this.#line(player, part);
    brush.globalAlpha = away ? 0.4 : 1;
    brush.lineCap = brush.lineJoin = "round";
    everywhere(brush, line, () => {
      stroke(brush, line, 0.8, colour(colourOf(name)));
      if (player === this.#me()) stroke(brush, line, 0.2, colour("var(--surface)"));
      drawEyes(brush, line[0], heading);
      if (player === this.#arena.state.crown) drawCrown(brush, line[0]);
    });
    brush.globalAlpha = 1;
  }

  #drawName(player, part) {
    if (player === this.#me()) return;
    const brush = this.#brush;
    const [x, y] = this.#line(player, part)[0];
    const size = (12 * WIDTH) / this.#canvas.clientWidth; // 12 px
    const { name, heading } = this.#arena.state.snakes[player];
    brush.font = `${size}px system-ui, sans-serif`;
    brush.textAlign = "center";
    const half = brush.measureText(name).width / 2;
    brush.fillStyle = colour("var(--text)");
    const above = y - (player === this.#arena.state.crown ? 1.3 : 0.7);
    const base = heading === "down" || above < size ? y + 0.7 + size : above;
    brush.fillText(name, Math.min(Math.max(x, half), WIDTH - half), base);
  }

  // The middle of a snake from its head on, which leaves the grid where it crosses an edge.
  #line(player, part) {
    const { bodies } = this.#arena.state;
    const line = [centre(bodies[player][0])];
    for (const cell of bodies[player].slice(1)) line.push(near(line.at(-1), centre(cell)));
    const trail = this.#arena.trails.get(player);
    if (trail !== undefined) line.push(between(near(line.at(-1), centre(trail)), line.at(-1), part));
    line[0] = between(line[1], line[0], part);
    return line;
  }
}

function centre(cell) {
  return [(cell % WIDTH) + 0.5, Math.floor(cell / WIDTH) + 0.5];
}

// Where `to` is beside `from`, be it beyond an edge.
function near([fromX, fromY], [x, y]) {
  return [x - WIDTH * Math.round((x - fromX) / WIDTH), y - HEIGHT * Math.round((y - fromY) / HEIGHT)];
}

function between([fromX, fromY], [x, y], part) {
  return [fromX + (x - fromX) * part, fromY + (y - fromY) * part];
}

// Calls `draw` with the brush moved by whole grids, so that all of the line is seen.
function everywhere(brush, line, draw) {
  const rounds = (values, size) => {
    const first = Math.floor((Math.min(...values) - 1) / size);
    const last = Math.floor((Math.max(...values) + 1) / size);
    return Array.from({ length: last - first + 1 }, (_, at) => -(first + at) * size);
  };
  for (const x of rounds(line.map(([x]) => x), WIDTH)) {
    for (const y of rounds(line.map(([, y]) => y), HEIGHT)) {
      brush.save();
      brush.translate(x, y);
      draw();
      brush.restore();
    }
  }
}

function stroke(brush, line, width, style) {
  brush.strokeStyle = style;
  brush.lineWidth = width;
  brush.beginPath();
  for (const [x, y] of line) brush.lineTo(x, y);
  brush.stroke();
}

function dot(brush, [x, y], radius) {
  brush.beginPath();
  brush.arc(x, y, radius, 0, 2 * Math.PI);
  brush.fill();
}

function drawEyes(brush, [x, y], heading) {
  const [ahead, aside] = [0.12, 0.18];
  const along = { up: [0, -1], right: [1, 0], down: [0, 1], left: [-1, 0] }[heading];
  for (const side of [-aside, aside]) {
    const eye = [x + along[0] * ahead + along[1] * side, y + along[1] * ahead + along[0] * side];
    brush.fillStyle = "#fff";
    dot(brush, eye, 0.14);
    brush.fillStyle = "#111";
    dot(brush, [eye[0] + along[0] * 0.05, eye[1] + along[1] * 0.05], 0.07);
  }
}

function drawCrown(brush, [x, y]) {
  brush.fillStyle = colour("var(--wait)");
  brush.beginPath();
  for (const [right, up] of [[-0.45, 0.5], [-0.5, 1.1], [-0.2, 0.8], [0, 1.2], [0.2, 0.8], [0.5, 1.1], [0.45, 0.5]]) {
    brush.lineTo(x + right, y - up);
  }
  brush.fill();
}

// What a colour of the style sheet is in light or dark, as a canvas takes it.
function colour(style) {
  if (!colours.has(style)) {
    probe.style.color = style;
    colours.set(style, getComputedStyle(probe).color);
  }
  return colours.get(style);
}
