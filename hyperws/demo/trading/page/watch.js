// The watch list: a row for each symbol, with a switch for its quotes and a button for its book.

import { element } from "/shared/dom.js";
import { mark } from "./drawing.js";
import { units } from "./exact.js";

const body = document.querySelector("#watch tbody");
const rows = new Map(); // symbol: its row

// `onswitch(symbol, on)` is called where quotes are wanted, or no longer; `onchoose(symbol)` for a book.
export function addRow({ symbol, name }, { on, onswitch, onchoose }) {
  const line = body.insertRow();
  line.dataset.symbol = symbol;
  const wanted = element("input", { type: "checkbox", checked: on, ariaLabel: `Quotes of ${symbol}` });
  const chosen = element("button", { type: "button", className: "quiet", textContent: symbol, title: `The book of ${name}` });
  chosen.ariaPressed = "false";
  line.insertCell().append(element("div", {}, element("label", { className: "choice" }, wanted), chosen));
  const [bid, ask, last] = [element("span"), element("span"), element("span")];
  Object.assign(line.insertCell(), { className: "number" }).append(bid, " · ", ask);
  Object.assign(line.insertCell(), { className: "number" }).append(last);
  const row = { wanted, chosen, bid, ask, last, quote: null, at: null };
  rows.set(symbol, row);
  clear(row);

  chosen.onclick = () => onchoose(symbol);
  wanted.onchange = () => {
    row.quote = row.at = null;
    clear(row);
    onswitch(symbol, wanted.checked);
  };
}

// Shows which book is shown.
export function choose(symbol) {
  for (const [each, row] of rows) row.chosen.ariaPressed = String(each === symbol);
}

// Shows a quote. Returns how many were left out since the last one.
export function show(symbol, quote) {
  const row = rows.get(symbol);
  if (!row.wanted.checked) return 0; // it was on its way
  const leftOut = row.at === null ? 0 : quote.at - row.at - 1;
  const change = row.quote ? units(quote.last) - units(row.quote.last) : 0n;
  row.bid.textContent = quote.bid;
  row.ask.textContent = quote.ask;
  if (change || !row.quote) mark(row.last, quote.last, change);
  row.quote = quote;
  row.at = quote.at;
  return leftOut;
}

// What was missed from now on was not left out: there was no connection.
export function restart(symbol) {
  rows.get(symbol).at = null;
}

function clear(row) {
  for (const place of [row.bid, row.ask, row.last]) mark(place, "–", 0n);
}
