// The book of one symbol: a snapshot, and then what the deltas make of it.

import { units } from "./exact.js";

const SIDES = ["bids", "asks"];

export class Book {
  at = null; // the tick it is as of, null before the first snapshot
  last = null;
  volume = null;
  #sides = { bids: new Map(), asks: new Map() }; // price: size

  load(snapshot) {
    this.#sides = { bids: new Map(snapshot.bids), asks: new Map(snapshot.asks) };
    this.#note(snapshot);
  }

  // Takes a delta, unless it does not follow what the book has. Returns whether it did.
  take(delta) {
    if (delta.prev !== this.at) return false;
    for (const side of SIDES) {
      for (const [price, size] of delta[side]) {
        if (size) this.#sides[side].set(price, size);
        else this.#sides[side].delete(price);
      }
    }
    this.#note(delta);
    return true;
  }

  // [[price, size], ...] of "bids" or "asks", from the best price on.
  fromBest(side) {
    const better = side === "bids" ? 1n : -1n;
    return [...this.#sides[side]].sort(([one], [other]) => Number(better * (units(other) - units(one))));
  }

  // The same for everyone who has the same book. The server sends its own from time to time.
  get checksum() {
    const [bids, asks] = SIDES.map((side) => this.fromBest(side).map(([price, size]) => `${price}x${size}`).join());
    return crc32(`${this.at} ${bids} ${asks} ${this.last} ${this.volume}`);
  }

  #note({ at, last, volume }) {
    Object.assign(this, { at, last, volume });
  }
}

const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

// CRC-32 of ASCII, as zlib has it.
function crc32(text) {
  let rest = 0xffffffff;
  for (let at = 0; at < text.length; at++) rest = REMAINDERS[(rest ^ text.charCodeAt(at)) & 0xff] ^ (rest >>> 8);
  return (rest ^ 0xffffffff) >>> 0;
}
