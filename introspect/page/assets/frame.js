// A page that stands in a frame of a notebook: short, and as tall as the notebook can be told.
import { element } from "./dom.js";

/** Whether the page was made for a notebook, to be short: `framed` in document.py says so. */
export function isCompact() {
  return document.documentElement.dataset.frame === "compact";
}

/** Fold what explains the views, which the notebook's own text mostly does. */
export function foldLeads() {
  if (!isCompact()) return;
  for (const lead of document.querySelectorAll("section[data-view] > .lead")) {
    const fold = element("details", { class: "about" }, element("summary", {}, "What it shows"));
    lead.replaceWith(fold);
    fold.append(lead);
  }
}

/** Tell whoever holds the frame how tall the page is, now and whenever that changes. */
export function tellHeight() {
  if (!document.documentElement.dataset.frame || window.parent === window) return;
  const tell = () => {
    const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
    // Anybody may know it: it is a number, and whoever holds a page in a frame made it.
    window.parent.postMessage({ introspectHeight: height }, "*");
  };
  new ResizeObserver(tell).observe(document.documentElement);
}
