// What many times have in common: some figures, and a picture made of bars.

import { element } from "/shared/dom.js";

const BARS = 24;
const TICK = 0.1; // ms; the clocks of browsers are no finer

// The time, in ms, within which this part of the messages came back. `sorted` are all times.
export function within(sorted, part) {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
}

// How many messages took how long: bars of equal width up to the time of the slowest hundredth, and a last one
// for these. Returns { counts, from, width }, the times in ms.
export function distribute(sorted) {
  const ticks = (ms) => Math.round(ms / TICK);
  const from = ticks(sorted[0]);
  const width = Math.max(1, Math.ceil((ticks(within(sorted, 0.99)) + 1 - from) / (BARS - 1)));
  const counts = new Array(BARS).fill(0);
  for (const ms of sorted) counts[Math.min(BARS - 1, Math.floor((ticks(ms) - from) / width))]++;
  return { counts, from: from * TICK, width: width * TICK };
}

export function drawBars(place, { counts, from, width }) {
  const highest = Math.max(...counts);
  place.replaceChildren(
    ...counts.map((count, index) => {
      const bar = element("div");
      bar.style.height = `${(100 * count) / highest}%`;
      if (count) bar.style.minHeight = "2px";
      const start = (from + index * width).toFixed(1);
      const last = index === counts.length - 1;
      if (last) bar.className = "slower";
      bar.title = `${count} took ${start} ms ${last ? "or more" : `to ${(from + (index + 1) * width).toFixed(1)} ms`}`;
      return bar;
    }),
  );
}
