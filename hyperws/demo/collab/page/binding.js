// Binds a textarea to a text of Yjs: what is typed goes there, what others write comes here, and undo takes
// back only what was typed here.

import * as Y from "./yjs/yjs.js";

export function bind(area, text, { undo, redo, onselect, oncompose }) {
  const typed = Symbol("typed"); // the origin of what is typed here
  const cleaned = Symbol("cleaned"); // and of what `clean` has done
  const history = new Y.UndoManager(text, { trackedOrigins: new Set([typed]) });
  let shown = ""; // what the textarea has, as far as the text knows
  let selected = "";

  text.observe((event, transaction) => {
    if (transaction.origin === cleaned) showAll();
    else if (transaction.origin !== typed) show(event.delta, transaction.origin === history);
  });
  area.addEventListener("input", (event) => {
    take();
    oncompose(event.isComposing);
  });
  area.addEventListener("compositionend", () => oncompose(false));
  area.addEventListener("beforeinput", (event) => {
    if (event.inputType === "historyUndo" || event.inputType === "historyRedo") {
      event.preventDefault(); // the browser's own history would take back what others wrote
      goBack(event.inputType === "historyRedo");
    }
  });
  area.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || !(key === "z" || key === "y")) return;
    event.preventDefault();
    goBack(key === "y" || event.shiftKey);
  });
  undo.addEventListener("click", () => goBack(false));
  redo.addEventListener("click", () => goBack(true));
  for (const change of ["stack-item-added", "stack-item-popped", "stack-cleared"]) history.on(change, showHistory);
  document.addEventListener("selectionchange", select);
  for (const event of ["focus", "keyup", "pointerup", "input"]) area.addEventListener(event, select);

  return { placeOf };

  // What has changed since, in one piece that ends at the cursor.
  function take() {
    const now = area.value;
    const mostAfter = Math.min(shown.length, now.length - area.selectionEnd);
    let after = 0;
    while (after < mostAfter && shown.at(-1 - after) === now.at(-1 - after)) after += 1;
    if (isLow(shown.charCodeAt(shown.length - after)) || isLow(now.charCodeAt(now.length - after))) after -= 1;
    const mostBefore = Math.min(shown.length, now.length) - after;
    let before = 0;
    while (before < mostBefore && shown[before] === now[before]) before += 1;
    if (before && isHigh(now.charCodeAt(before - 1))) before -= 1;

    const gone = shown.length - after - before;
    const come = now.slice(before, now.length - after);
    shown = now;
    text.doc.transact(() => {
      if (gone) text.delete(before, gone);
      if (come) text.insert(before, come);
    }, typed);
  }

  // The selection stays on the characters that it is on; after an undo, the cursor is where something changed.
  function show(delta, follow) {
    let at = 0;
    for (const { retain = 0, insert = "", delete: gone = 0 } of delta) {
      at += retain;
      area.setRangeText(insert, at, at + gone, follow ? "end" : "preserve");
      at += insert.length;
    }
    shown = area.value;
    if (text.toString().includes("\r")) queueMicrotask(clean);
    else select();
  }

  function showAll() {
    const { selectionStart, selectionEnd } = area;
    shown = area.value = text.toString();
    area.setSelectionRange(selectionStart, selectionEnd);
    select();
  }

  // A textarea has no carriage returns: without them, places here and in the text are the same.
  function clean() {
    const whole = text.toString();
    text.doc.transact(() => {
      for (let at = whole.length - 1; at >= 0; at -= 1) if (whole[at] === "\r") text.delete(at, 1);
    }, cleaned);
  }

  function goBack(forth) {
    history.stopCapturing();
    if (forth) history.redo();
    else history.undo();
  }

  function showHistory() {
    undo.disabled = !history.canUndo();
    redo.disabled = !history.canRedo();
  }

  function select() {
    if (document.activeElement !== area) return;
    const { selectionStart, selectionEnd, selectionDirection } = area;
    const ends = [selectionStart, selectionEnd].map((at) => Y.createRelativePositionFromTypeIndex(text, at));
    if (selectionDirection === "backward") ends.reverse();
    const [anchor, head] = ends;
    if (selected === (selected = JSON.stringify([anchor, head]))) return;
    onselect({ anchor, head });
  }

  // Where in the text an end of somebody's selection is, null if nowhere.
  function placeOf(position) {
    try {
      const found = Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(position), text.doc);
      return found?.type === text ? found.index : null;
    } catch {
      return null; // it makes no sense
    }
  }
}

function isHigh(unit) {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLow(unit) {
  return unit >= 0xdc00 && unit < 0xe000;
}
