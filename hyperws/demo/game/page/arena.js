// A copy of the arena: a snapshot, to which the delta of each tick is applied. The same as in rules.py.

export const WIDTH = 32;
export const HEIGHT = 24;

export class Arena {
  state = null;
  trails = new Map(); // player: the cell that the end of a snake has just left, for what is drawn in between

  #epoch = "";

  // Returns whether it is what it should be.
  replace({ epoch, state, hash }) {
    this.#epoch = String(epoch);
    this.state = state;
    this.trails.clear();
    return digest(state) === hash;
  }

  // Returns false for a delta of other ticks than the next, or one that leads elsewhere than it should:
  // only a snapshot helps.
  apply({ epoch, delta, hash }) {
    const { state } = this;
    if (state === null || this.#epoch !== String(epoch)) return false;
    if (delta.tick <= state.tick) return true; // it is in the snapshot
    if (delta.tick !== state.tick + 1) return false;
    state.tick = delta.tick;
    const eaten = new Set(delta.eaten);
    state.food = state.food.filter((cell) => !eaten.has(cell)).concat(delta.food ?? []);
    for (const player of delta.gone ?? []) {
      delete state.snakes[player];
      delete state.bodies[player];
    }
    Object.assign(state.snakes, delta.snakes);
    Object.assign(state.bodies, delta.bodies);
    this.trails.clear();
    for (const [player, [head, length]] of Object.entries(delta.moved ?? {})) {
      const body = state.bodies[player];
      body.unshift(head);
      if (body.length > length) this.trails.set(player, body.pop());
    }
    state.crown = delta.crown ?? state.crown;
    return hash === undefined || digest(state) === hash;
  }
}

export function digest(state) {
  const lines = [`${state.seed} ${state.tick} ${state.crown} ${state.food.toSorted((a, b) => a - b)}`];
  for (const player of Object.keys(state.snakes).sort()) {
    const { name, score, heading, due, away } = state.snakes[player];
    lines.push(`${player} ${score} ${heading} ${due} ${away} ${state.bodies[player]} ${name}`);
  }
  return crc32(lines.join("\n")).toString(16).padStart(8, "0");
}

function crc32(text) {
  let sum = -1;
  for (const byte of new TextEncoder().encode(text)) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}
