// A chart of some columns of a feed, drawn by uPlot in the colours of the page. It moves on with time, also
// while nothing comes.

import { element } from "/shared/dom.js";
import { SPAN } from "./feed.js";

const HEIGHT = 176;
const FONT = "12px system-ui, sans-serif";
const dark = matchMedia("(prefers-color-scheme: dark)");

// `lines` are { column, label, ink }, `least` is how far up the scale goes at least, `show` makes a value text.
export class Chart {
  #feed;
  #lines;
  #show;
  #plot;
  #colours;

  constructor(parent, feed, { title, lines, least, show }) {
    this.#feed = feed;
    this.#show = show;
    const head = element("div", { className: "head" }, element("h3", {}, title));
    this.element = element("figure", { className: "chart" }, head);
    this.#lines = lines.map(({ column, label, ink }) => {
      const value = element("span", { className: "number" });
      const key = element("span", { className: "key" }, label, value);
      key.style.setProperty("--ink", `var(${ink})`);
      head.append(key);
      return { column, key, value };
    });
    this.canvas = element("div", { className: "canvas", role: "img" });
    this.canvas.ariaLabel = `${title}, the last ${SPAN} seconds. The table below has the latest figures.`;
    this.element.append(this.canvas);
    parent.append(this.element);

    this.#readColours();
    dark.addEventListener("change", () => this.#readColours());
    this.#plot = new uPlot(this.#options(least), this.#data(), this.canvas);
    new ResizeObserver(() => this.#plot.setSize({ width: this.canvas.clientWidth, height: HEIGHT })).observe(this.canvas);
  }

  draw() {
    const { end } = this.#feed;
    if (!Number.isFinite(end)) return; // nothing has come yet
    this.#plot.setData(this.#data(), false);
    this.#plot.setScale("x", { min: end - SPAN, max: end });
  }

  // The latest values, as text.
  say() {
    for (const { column, value } of this.#lines) value.textContent = this.#show(this.#feed.last?.[column]);
  }

  #data() {
    return ["t", ...this.#lines.map(({ column }) => column)].map((name) => this.#feed.columns[name]);
  }

  // Canvases know no variables: these are the colours that elements have got by them.
  #readColours() {
    const { color, borderTopColor } = getComputedStyle(this.canvas);
    const inks = this.#lines.map(({ key }) => getComputedStyle(key, "::before").backgroundColor);
    this.#colours = { text: color, grid: borderTopColor, inks };
  }

  #options(least) {
    const axis = {
      stroke: () => this.#colours.text,
      grid: { stroke: () => this.#colours.grid, width: 1 },
      ticks: { show: false },
      font: FONT,
    };
    return {
      width: this.canvas.clientWidth,
      height: HEIGHT,
      padding: [8, 16, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, auto: false },
        y: { range: (plot, min, max) => [0, Math.max(least, (max ?? 0) * 1.1)] },
      },
      axes: [
        {
          ...axis,
          size: 24,
          gap: 4,
          splits: (plot) => [20, 15, 10, 5, 0].map((ago) => plot.scales.x.max - ago),
          values: () => ["20 s", "15", "10", "5", "now"],
        },
        { ...axis, size: 44, gap: 6, space: 32, values: (plot, values) => values.map((value) => String(Number(this.#show(value)))) },
      ],
      series: [
        {},
        ...this.#lines.map((line, index) => ({
          stroke: () => this.#colours.inks[index],
          width: 1.5,
          points: { show: false },
        })),
      ],
    };
  }
}
