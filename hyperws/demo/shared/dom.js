// What pages find and make their elements with.

export function byId(id) {
  return document.getElementById(id);
}

// A new element: element("a", { href: "/" }, "home").
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
