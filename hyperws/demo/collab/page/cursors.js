// The cursors and selections of others, drawn over a textarea. A mirror below them has the same text in the same
// lines, and tells where each character is.

import { element } from "/shared/dom.js";
import { colourOf } from "/shared/visitor.js";

const SHOWN = 3_000; // ms for which a name is beside a cursor that has moved; then it leaves the text to be read

// Returns a function that draws them anew. `others()` are people: { id, name, cursor: { anchor, head } }.
export function showCursors(area, mirror, { placeOf }, others) {
  const letters = document.createTextNode("");
  const moves = new Map(); // id: { to: its cursor, at: when it got there }
  let wanted = false;
  mirror.append(letters);
  area.addEventListener("scroll", follow);
  area.addEventListener("input", drawSoon);
  new ResizeObserver(drawSoon).observe(area);
  document.fonts.ready.then(drawSoon);
  return drawSoon;

  function follow() {
    mirror.style.transform = `translateY(${-area.scrollTop}px)`;
  }

  function drawSoon() {
    if (!wanted) requestAnimationFrame(draw);
    wanted = true;
  }

  function draw() {
    wanted = false;
    mirror.style.width = `${area.clientWidth}px`;
    const text = `${area.value}\u200b`; // there is always a character behind a cursor
    if (letters.data !== text) letters.data = text;
    const origin = mirror.getBoundingClientRect();
    mirror.replaceChildren(letters, ...others().flatMap((person) => drawn(person, origin)));
    follow();
  }

  function drawn({ id, name, cursor }, origin) {
    const [anchor, head] = [placeOf(cursor?.anchor), placeOf(cursor?.head)];
    if (anchor === null || head === null) return [];
    const parts = rectanglesOf(Math.min(anchor, head), Math.max(anchor, head)).map((rectangle) =>
      place("mark", rectangle, rectangle.width),
    );
    const [rectangle] = rectanglesOf(head, head + 1);
    if (rectangle) parts.push(flag(place("cursor", rectangle), name, movedAt(id, cursor)));
    for (const part of parts) part.dataset.client = id;
    return parts;

    function place(kind, { left, top, height }, width) {
      const part = element("div", { className: kind });
      part.style.left = `${left - origin.left}px`;
      part.style.top = `${top - origin.top}px`;
      part.style.height = `${height}px`;
      if (width !== undefined) part.style.width = `${width}px`;
      part.style.setProperty("--of", colourOf(name));
      return part;
    }
  }

  function movedAt(id, cursor) {
    const to = JSON.stringify(cursor);
    if (moves.get(id)?.to !== to) moves.set(id, { to, at: performance.now() });
    return moves.get(id).at;
  }

  function flag(cursor, name, since) {
    const label = element("span", {}, element("b", { textContent: name }));
    label.style.animationDelay = `${since + SHOWN - performance.now()}ms`;
    cursor.append(label);
    cursor.classList.toggle("below", Number.parseFloat(cursor.style.top) - area.scrollTop < 20);
    cursor.classList.toggle("left", Number.parseFloat(cursor.style.left) > area.clientWidth - 120);
    return cursor;
  }

  function rectanglesOf(start, end) {
    if (start === end) return [];
    const range = document.createRange();
    range.setStart(letters, Math.min(start, letters.length));
    range.setEnd(letters, Math.min(end, letters.length));
    return [...range.getClientRects()];
  }
}
