// Turning, by whatever is at hand: keys, a swipe over the arena, buttons. Calls turn("up").

const KEYS = {
  ArrowUp: "up", ArrowRight: "right", ArrowDown: "down", ArrowLeft: "left",
  KeyW: "up", KeyD: "right", KeyS: "down", KeyA: "left",
};
const SWIPE = 18; // px

export function steer(arena, turn) {
  document.addEventListener("keydown", (event) => {
    const to = KEYS[event.code];
    if (!to || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    event.preventDefault(); // the page is not to scroll
    if (!event.repeat) turn(to);
  });

  for (const button of document.querySelectorAll("[data-to]")) {
    button.addEventListener("pointerdown", () => turn(button.dataset.to)); // a click would come later
    button.addEventListener("click", (event) => {
      if (event.detail === 0) turn(button.dataset.to); // by keyboard
    });
  }

  // One touch may turn several times, each time that it has gone far enough one way.
  let from = null;
  arena.addEventListener("pointerdown", (event) => (from = event));
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => (from = null));
  addEventListener("pointermove", (event) => {
    if (from?.pointerId !== event.pointerId) return;
    const [right, down] = [event.clientX - from.clientX, event.clientY - from.clientY];
    if (Math.max(Math.abs(right), Math.abs(down)) < SWIPE) return;
    from = event;
    if (Math.abs(right) > Math.abs(down)) turn(right > 0 ? "right" : "left");
    else turn(down > 0 ? "down" : "up");
  });
}
