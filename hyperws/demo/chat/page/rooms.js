// Which room this is, those that were visited lately, and the way to another one.

import { byId, element } from "/shared/dom.js";

const MOST = 6;

export const room = decodeURIComponent(location.pathname.split("/")[2]);

const lately = [room, ...(localStorage.rooms?.split(" ") ?? ["lobby"]).filter((one) => one !== room)].slice(0, MOST);
localStorage.rooms = lately.join(" ");

document.title = `${room} · ${document.title}`;
byId("room").textContent = room;
byId("rooms").append(...lately.toSorted().map(link));
byId("go").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = byId("other").value.trim().replaceAll(/\s+/g, "-");
  if (name) location.href = path(name);
});

function link(name) {
  const made = element("a", { href: path(name), textContent: name });
  if (name === room) made.setAttribute("aria-current", "page");
  return made;
}

function path(name) {
  return `/chat/${encodeURIComponent(name)}`;
}
