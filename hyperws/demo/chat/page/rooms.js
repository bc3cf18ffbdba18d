// Which room this is, those that were visited lately, and the way to another one.

const MOST = 6;

export const room = decodeURIComponent(location.pathname.split("/")[2]);

const lately = [room, ...(localStorage.rooms?.split(" ") ?? ["lobby"]).filter((one) => one !== room)].slice(0, MOST);
localStorage.rooms = lately.join(" ");

document.title = `${room} · ${document.title}`;
document.getElementById("room").textContent = room;
document.getElementById("rooms").append(...lately.toSorted().map(link));
document.getElementById("go").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = document.getElementById("other").value.trim().replaceAll(/\s+/g, "-");
  if (name) location.href = path(name);
});

function link(name) {
  const made = Object.assign(document.createElement("a"), { href: path(name), textContent: name });
  if (name === room) made.setAttribute("aria-current", "page");
  return made;
}

function path(name) {
  return `/chat/${encodeURIComponent(name)}`;
}
