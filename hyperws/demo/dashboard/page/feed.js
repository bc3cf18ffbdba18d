// What has come by one way: the points for charts, and how they came. Times are in seconds.

import { now } from "./clock.js";

export const SPAN = 20; // that charts show

const COLUMNS = ["t", "late", "received", "sent", "sockets", "streams", "memory", "cpu"];
const MOST = 5_000; // points in the columns until the older half is forgotten
const STALE = 1; // without a point
const WINDOW = 4; // that figures of how points come are about

export class Feed {
  at = null; // the place of the last point, after which the server is asked for more
  last = null; // the last point
  missing = 0; // points that never came
  columns = Object.fromEntries(COLUMNS.map((name) => [name, []]));
  period = 0; // between two arrivals, where that is chosen

  #ahead = -Infinity; // of this page's clock is the server's, if the quickest point took no time
  #heard = now();
  #arrivals = []; // { when, points, bytes, delays }

  // Takes points that have come together.
  take(points, bytes, clock) {
    const when = now();
    const fresh = points.filter((point) => this.#add(point, when));
    const timed = fresh.filter((point) => clock.knows(epochOf(point)));
    const delays = timed.map((point) => when + clock.offset - point.t);
    this.#arrivals.push({ when, points: fresh.length, bytes, delays });
    if (fresh.length) this.#heard = when;
  }

  // The server's time now, at the right end of charts.
  get end() {
    return now() + this.#ahead;
  }

  // The time of day since when nothing has come; null where that is not long ago.
  get staleSince() {
    const silence = now() - this.#heard;
    return silence > STALE + this.period ? new Date(Date.now() - silence * 1000) : null;
  }

  // After a pause: its silence was meant.
  resume() {
    this.#heard = now();
    this.#arrivals = [];
  }

  // How points came in the last seconds: how many and how many bytes a second, their mean and longest delay.
  summary() {
    const from = now() - WINDOW;
    this.#arrivals = this.#arrivals.filter(({ when }) => when > from);
    const sum = (name) => this.#arrivals.reduce((total, arrival) => total + arrival[name], 0);
    const delays = this.#arrivals.flatMap((arrival) => arrival.delays);
    return {
      points: sum("points") / WINDOW,
      bytes: sum("bytes") / WINDOW,
      mean: delays.length ? delays.reduce((total, delay) => total + delay) / delays.length : null,
      longest: delays.length ? Math.max(...delays) : null,
    };
  }

  // Returns false for a point that has been here before.
  #add(point, when) {
    const { last } = this;
    if (epochOf(point) !== epochOf(last)) {
      this.#begin(point);
    } else {
      const skipped = point.n - last.n - 1;
      if (skipped < 0) return false;
      this.missing += skipped;
      if (skipped || point.t - last.t > STALE) this.#breakLine(point.t);
    }
    for (const name of COLUMNS) this.columns[name].push(point[name]);
    if (this.columns.t.length > MOST) for (const name of COLUMNS) this.columns[name].splice(0, MOST / 2);
    const ahead = point.t - when;
    this.#ahead = ahead > this.#ahead ? ahead : this.#ahead + (ahead - this.#ahead) / 1000; // clocks drift
    this.last = point;
    this.at = point.at;
    return true;
  }

  // The points of another process, or of another life of it.
  #begin({ t }) {
    this.#ahead = -Infinity;
    if (t < this.last?.t) for (const name of COLUMNS) this.columns[name] = []; // it has another clock
    else this.#breakLine(t);
  }

  #breakLine(t) {
    for (const name of COLUMNS) this.columns[name].push(name === "t" ? t : null);
  }
}

// What all points of one process have in common, and those of no other.
export function epochOf(point) {
  return point?.at.slice(0, point.at.lastIndexOf(":"));
}
