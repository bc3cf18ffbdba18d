// Who sits here: a name that may be changed and lasts, an id for this tab, a colour that follows from the name.

const KINDS = ["Otter", "Heron", "Lynx", "Badger", "Falcon", "Marten", "Robin", "Beaver", "Ibex", "Swift"];
const MANNERS = ["Quiet", "Brave", "Swift", "Merry", "Clever", "Gentle", "Bold", "Sunny", "Calm", "Keen"];
const NAME = /^(?=[^\s\u200c\u200d])[^\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]{1,20}$/u; // as in messages.py

export const id = (sessionStorage.id ??= hex(crypto.getRandomValues(new Uint8Array(12))));
export let name = usable(localStorage.name) ?? `${pick(MANNERS)} ${pick(KINDS)}`;
rename(name);

// Takes another name, at most 20 characters. Returns the one that is used from now on.
export function rename(wanted) {
  return (localStorage.name = name = usable(wanted) ?? name);
}

// Has the name in a field, where it can be changed; then `onchange` is called.
export function editName(field, onchange) {
  field.value = name;
  field.addEventListener("change", () => {
    const before = name;
    field.value = rename(field.value);
    if (name !== before) onchange();
  });
}

// A colour that is told apart from the page in light and dark, the same for a name everywhere.
export function colourOf(text) {
  let sum = 0;
  for (const character of text) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return `light-dark(oklch(0.48 0.13 ${sum}), oklch(0.8 0.12 ${sum}))`; // equally light, whatever the hue
}

// A name as it may be used, undefined where there is none such.
export function usable(text) {
  const trimmed = text?.trim();
  return trimmed && NAME.test(trimmed) ? trimmed : undefined;
}

function pick(words) {
  return words[crypto.getRandomValues(new Uint32Array(1))[0] % words.length];
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
