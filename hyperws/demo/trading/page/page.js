// Trading: quotes of the symbols that are switched on, and the book of the one that is chosen.

import { connect } from "/hyperws.js";
import { byId } from "/shared/dom.js";
import { addLine } from "/shared/log.js";
import { showState } from "/shared/shell.js";
import { Book } from "./book.js";
import { drawBook, drawLine, showSync } from "./drawing.js";
import { addRow, choose, restart, show } from "./watch.js";

const FIRST = ["AAPL", "GOOGL", "MSFT", "AMZN"]; // are switched on
const HELD = 3; // seconds

const log = byId("log");
const say = (text, kind = "notice") => addLine(log, kind, text);

let rate; // ticks a second
const places = new Map(); // of each symbol
let symbol; // whose book is shown
let book = new Book();
let line = []; // its prices, one a second, the oldest first
let asking = true; // for the book, or for what is missing in it; until the server answers
let losing = false; // the next delta
let checked = 0;
let leftOut = 0;
let before = null; // how things stood when the server was asked to hold back

const connection = connect("/trading", {
  onmessage(message) {
    const [kind, of] = message.topic?.split(":") ?? [];
    if (message.type === "welcome") welcome(message);
    else if (message.type === "resumed") resumed();
    else if (message.type === "error") say(message.text, "error");
    else if (kind === "quote") takeQuote(of, message);
    else if (of === symbol) takeBook(message);
  },
  onstate(connection) {
    showState(connection);
    if (connection.state === "open") return;
    asking = true;
    before = null;
    showSync("no connection");
  },
});

function welcome({ symbols, ...words }) {
  rate = words.rate;
  say(`You are ${words.trader}, served by process ${words.process}.`);
  if (symbol) return; // it is not the first one
  for (const each of symbols) {
    const on = FIRST.includes(each.symbol);
    places.set(each.symbol, each.places);
    addRow(each, { on, onswitch: wantQuotes, onchoose: wantBook });
    if (on) wantQuotes(each.symbol, true);
  }
  wantBook(symbols[0].symbol);
}

// --- quotes

function wantQuotes(of, wanted) {
  if (wanted) connection.subscribe(`quote:${of}`);
  else connection.unsubscribe(`quote:${of}`);
}

function takeQuote(of, message) {
  if (message.type === "subscribed" && !before) restart(of);
  if (message.type !== "quote") return;
  leftOut += show(of, message);
  byId("left-out").textContent = leftOut;
}

// --- the book

function wantBook(of) {
  if (of === symbol) return;
  if (symbol) connection.unsubscribe(`book:${symbol}`);
  symbol = of;
  book = new Book();
  choose(symbol);
  byId("book-title").textContent = `Book of ${symbol}`;
  ask();
}

// Asks for the book, from a tick on where it is known until there.
function ask(since) {
  asking = true;
  showSync(since ? "asking again" : "waiting");
  const onlost = () => say("Too much is missing: the book comes anew.");
  connection.subscribe(`book:${symbol}`, { onlost, ...(since && { since }) });
}

function takeBook(message) {
  if (message.type === "subscribed") {
    asking = false;
  } else if (message.type === "snapshot") {
    book.load(message);
    line = message.line;
    verify(message);
  } else if (message.type === "delta") {
    takeDelta(message);
  }
}

function takeDelta(delta) {
  if (asking) return; // it comes again
  if (losing) {
    losing = false;
    say(`Lost the message of tick ${delta.at}.`);
    return;
  }
  if (!book.take(delta)) {
    say(`A gap: tick ${delta.at} follows ${delta.prev}, and the book is as of ${book.at}. Asking for the rest.`);
    return ask(book.at);
  }
  if (delta.at % rate === 0) line = [...line.slice(1), delta.last];
  verify(delta);
}

// Compares the book with the server's, where the message has a checksum. Shows it soon.
function verify({ checksum }) {
  const own = book.checksum;
  if (checksum !== undefined && checksum !== own) {
    say(`The book is wrong at tick ${book.at}. Asking for a new one.`, "error");
    return ask();
  }
  if (checksum !== undefined) checked++;
  showSync();
  Object.assign(byId("book").dataset, { seq: book.at, checksum: own });
  drawing ??= requestAnimationFrame(drawNow);
}

let drawing = null;

function drawNow() {
  drawing = null;
  if (book.at === null) return; // another one was chosen meanwhile
  drawBook(book, places.get(symbol));
  drawLine([...line, book.last], places.get(symbol));
  byId("checked").textContent = checked;
}

// --- trouble

byId("lose").addEventListener("click", () => (losing = true));

byId("hold").addEventListener("click", () => {
  if (before || !connection.send({ type: "hold", seconds: HELD })) return;
  before = { leftOut, book, at: book.at };
  say(`Reading nothing for ${HELD} s.`);
  showSync("held back");
});

function resumed() {
  if (!before) return;
  say(`Reading again: ${leftOut - before.leftOut} quotes were left out, the newest came.`);
  if (book === before.book) say(`Of the book, all ${book.at - before.at} deltas came, only later.`);
  before = null;
}
