// Light and dark: by the reader's setting, until the reader says otherwise.
import { element } from "./dom.js";
import { readLink, writeLink } from "./link.js";
import { drawWaiting } from "./plot.js";

const SYSTEM = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();
const known = new Map();
let isPrinting = false;
const probe = element("i", { class: "unseen", "aria-hidden": "true" });

/** "light" or "dark"; on paper light. */
export function theme() {
  if (isPrinting) return "light";
  return document.documentElement.dataset.theme ?? (SYSTEM.matches ? "dark" : "light");
}

/** What belongs to the theme, of a pair {light, dark}. */
export function themed(pair) {
  return pair[theme()];
}

/** A color of the style sheet, such as "ink", as a drawing must be given it. */
export function colorOf(name) {
  // To ask for a style makes the browser work out all that has changed on the page.
  if (!known.has(name)) {
    if (!probe.isConnected) document.body.append(probe);
    probe.style.color = `var(--${name})`;
    known.set(name, getComputedStyle(probe).color);
  }
  return known.get(name);
}

/** A color, "#rrggbb" or "rgb(…)", with an opacity. */
export function withOpacity(color, opacity) {
  const channels = color.startsWith("#")
    ? [1, 3, 5].map((start) => Number.parseInt(color.slice(start, start + 2), 16))
    : color.match(/[\d.]+/g).slice(0, 3);
  return `rgba(${channels.join(",")},${Math.round(opacity * 1000) / 1000})`;
}

/** Call back whenever the theme has changed. */
export function onTheme(callback) {
  listeners.add(callback);
}

function changed() {
  known.clear();
  for (const callback of listeners) callback();
  // A page of two themes at once would be seen as it scrolls.
  drawWaiting();
}

function set(name) {
  document.documentElement.dataset.theme = name;
  changed();
}

/** On paper there is no dark. */
export function setPrinting(now) {
  isPrinting = now;
  changed();
}

/** The switch at the head of the page. */
export function themeSwitch() {
  const button = element("button", { type: "button", class: "plain", name: "theme" });
  const show = () => {
    button.textContent = theme() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${button.textContent.toLowerCase()} colors`);
  };
  button.addEventListener("click", () => {
    set(theme() === "dark" ? "light" : "dark");
    writeLink("page", { theme: theme() });
  });
  SYSTEM.addEventListener("change", changed);
  onTheme(show);
  const linked = readLink("page").theme;
  if (linked === "light" || linked === "dark") set(linked);
  show();
  return button;
}
