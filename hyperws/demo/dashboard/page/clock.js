// The server's clock, seen from here: a question over the socket comes back with the time there. That was
// somewhere between its leaving and coming back, so the quickest of the last answers says it best.

const KEPT = 20; // answers

// Seconds by a clock that only goes forward.
export const now = () => performance.now() / 1000;

export class Clock {
  #answers = []; // { offset, error }
  #epoch = null;

  // Another connection may lead to another process, which has another clock.
  forget() {
    this.#answers = [];
  }

  // `epoch` is that of the points that come over the same connection.
  take({ sent, now: there }, epoch) {
    const here = now();
    if (epoch !== this.#epoch) this.forget();
    this.#epoch = epoch;
    this.#answers.push({ offset: there - (sent + here) / 2, error: (here - sent) / 2 });
    if (this.#answers.length > KEPT) this.#answers.shift();
  }

  // Whether the times of points of an epoch are by this clock.
  knows(epoch) {
    return this.#answers.length > 0 && epoch === this.#epoch;
  }

  // What has to be added to the time here.
  get offset() {
    return this.#best.offset;
  }

  // By how much the offset may be wrong; undefined where it is not known.
  get error() {
    return this.#best?.error;
  }

  get #best() {
    return this.#answers.reduce((best, answer) => (best && best.error <= answer.error ? best : answer), undefined);
  }
}
