// The state of the views in the page's address, so that a link opens what was seen.

import { valuesIn } from "./address.js";

// Browsers allow few changes of the address in a short time.
const PAUSE = 250;
const pending = new Map();

/** What the address says about a view, by name; {} if it says nothing. */
export function readLink(owner) {
  return valuesIn(location.hash, owner);
}

/** Put values into the address; null takes one out of it. */
export function writeLink(owner, values) {
  if (pending.size === 0) setTimeout(() => flushLink(), PAUSE);
  for (const [name, value] of Object.entries(values)) pending.set(`${owner}.${name}`, value);
}

/** Put values into the address as a place of its own, which Back leaves again. */
export function pushLink(owner, values) {
  flushLink();
  for (const [name, value] of Object.entries(values)) pending.set(`${owner}.${name}`, value);
  flushLink("pushState");
}

/** Write what waits into the address now. */
export function flushLink(how = "replaceState") {
  const now = parameters();
  for (const [name, value] of pending) {
    if (value === null || value === undefined || value === "") now.delete(name);
    else now.set(name, String(value));
  }
  pending.clear();
  const text = decodeURIComponent(now.toString().replaceAll("+", "%20"));
  try {
    history[how](null, "", text ? `#${encodeURI(text)}` : location.pathname);
  } catch {
    // A page inside another, as in a notebook, has no address of its own.
  }
}

/** The address's own parameters; an anchor, which has no value, is none. */
function parameters() {
  const text = location.hash.slice(1);
  return new URLSearchParams(text.includes("=") ? text : "");
}
