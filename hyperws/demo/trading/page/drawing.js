// Draws the book and the line of prices. Sums and differences are made of integers (see exact.js); floats tell
// only how long a bar is, and how high a point lies.

import { byId } from "/shared/dom.js";
import { decimal, units } from "./exact.js";

const LEVELS = 6; // rows on each side

const table = byId("book");
const rows = { asks: [], bids: [] }; // from the best price on
for (let level = LEVELS - 1; level >= 0; level--) rows.asks[level] = addRow("ask");
const middle = addRow("spread");
for (let level = 0; level < LEVELS; level++) rows.bids[level] = addRow("bid");

export function drawBook(book, places) {
  const sides = { asks: book.fromBest("asks"), bids: book.fromBest("bids") };
  const sums = Object.values(sides).map((levels) => levels.reduce((sum, [, size]) => sum + size, 0));
  const most = Math.max(...sums);
  for (const side of ["asks", "bids"]) {
    let sum = 0;
    rows[side].forEach((row, level) => {
      const [price, size] = sides[side][level] ?? ["", 0];
      sum += size;
      fill(row, price && size ? [price, size, sum] : ["", "", ""]);
      row.style.setProperty("--depth", `${(100 * sum) / most}%`);
    });
  }
  const spread = units(sides.asks[0][0]) - units(sides.bids[0][0]);
  fill(middle, [decimal(spread, places), "", ""]);
  byId("tick").textContent = book.at;
  byId("volume").textContent = book.volume;
}

// `prices` are strings, the oldest first.
export function drawLine(prices, places) {
  const heights = prices.map(units);
  const low = heights.reduce((one, other) => (other < one ? other : one));
  const high = heights.reduce((one, other) => (other > one ? other : one));
  const height = Number(high - low) || 1;
  const points = heights.map((price, at) => `${at},${(100 * Number(high - price)) / height}`);
  const line = byId("line");
  line.setAttribute("viewBox", `0 -4 ${Math.max(1, points.length - 1)} 108`);
  line.firstElementChild.setAttribute("points", points.join(" "));

  const change = heights.at(-1) - heights[0];
  byId("last").textContent = prices.at(-1);
  mark(byId("change"), decimal(change, places), change);
  byId("low").textContent = decimal(low, places);
  byId("high").textContent = decimal(high, places);
  line.ariaLabel = `From ${prices[0]} to ${prices.at(-1)}, between ${decimal(low, places)} and ${decimal(high, places)}`;
}

// Whether the book is as the server has it, or why not.
export function showSync(trouble) {
  const sync = byId("sync");
  const said = trouble ? `… ${trouble}` : "✓ in sync";
  if (sync.textContent === said) return;
  sync.textContent = said;
  sync.className = trouble ? "" : "yes";
}

// Puts in a price with the way it went: by a mark, and by a colour.
export function mark(place, text, change) {
  place.className = change > 0n ? "up" : change < 0n ? "down" : "";
  place.textContent = `${change > 0n ? "▲ " : change < 0n ? "▼ " : ""}${text}`;
}

function addRow(kind) {
  const row = table.tBodies[0].insertRow();
  row.className = kind;
  row.insertCell().textContent = { ask: "Ask", bid: "Bid", spread: "Spread" }[kind];
  for (let column = 0; column < 3; column++) row.insertCell().className = "number";
  return row;
}

function fill(row, texts) {
  texts.forEach((text, at) => (row.cells[at + 1].textContent = text));
}
