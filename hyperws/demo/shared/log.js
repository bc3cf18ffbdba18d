// A log of lines, the newest at the bottom. Everything is put in as text, never as markup.

import { element } from "./dom.js";

const MOST_LINES = 200;

// `kind` is the line's CSS class; `before` and `after` are small print around the text.
export function addLine(log, kind, text, { before, after } = {}) {
  const line = element("p", { className: kind });
  for (const [tag, content] of [["small", before], ["span", text], ["small", after]]) {
    if (content !== undefined) line.append(element(tag, { textContent: content }));
  }

  const atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(line);
  if (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  if (atBottom) log.scrollTop = log.scrollHeight; // a reader who has scrolled up is left in peace
}
