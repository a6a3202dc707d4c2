// Small helpers that make and change elements. Text goes in as text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export const el = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);
export const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);
export const by = (id) => document.getElementById(id);

// Changes a text only when it is another, so that a screen reader speaks of changes and not of time.
export function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

export function data(node, name, value) {
  if (node.dataset[name] !== value) node.dataset[name] = value;
}

// Puts children in place of what was there, unless `key` says that nothing changed since the last time.
export function refill(node, key, make) {
  if (node.filledWith === key) return false;
  node.filledWith = key;
  const focused = node.contains(document.activeElement) ? document.activeElement.id : "";
  node.replaceChildren(...make().flat().filter((child) => child !== undefined && child !== null && child !== false));
  if (focused) by(focused)?.focus();
  return true;
}

// What a viewer set on this browser; a browser that keeps nothing forgets it.
export const kept = {
  get(name, otherwise) {
    try { return JSON.parse(localStorage.getItem(`hairpin.${name}`)) ?? otherwise; } catch { return otherwise; }
  },
  set(name, value) {
    try { localStorage.setItem(`hairpin.${name}`, JSON.stringify(value)); } catch { /* private mode */ }
  },
};
