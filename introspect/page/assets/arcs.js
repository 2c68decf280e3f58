// Arcs from one word to others, over the lines of a text that wraps.

import { svgElement } from "./dom.js";

const HIGHEST = 34;

/** The layer that arcs are drawn on, above a text. */
export function arcLayer() {
  return svgElement("svg", { class: "word-arcs", "aria-hidden": "true" });
}

/**
 * Draw an arc from a word to each of some others.
 * @param {Element} layer of `arcLayer`, as large as the text
 * @param {Element} origin the word that they start from
 * @param {{word: Element, strength: number, role: string}[]} ends
 */
export function drawArcs(layer, origin, ends) {
  const frame = layer.parentElement.getBoundingClientRect();
  layer.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  const start = topOf(origin, frame);
  const paths = ends.map(({ word, strength, role }) => {
    return svgElement("path", {
      d: pathBetween(start, topOf(word, frame)),
      "stroke-width": 1 + 5 * strength,
      "stroke-opacity": 0.35 + 0.65 * strength,
      "data-role": role,
    });
  });
  layer.replaceChildren(...paths);
}

/** The middle of a word's upper edge; of a word that is cut into lines, of its first. */
function topOf(word, frame) {
  const box = word.getClientRects()[0] ?? word.getBoundingClientRect();
  return { x: box.left - frame.left + box.width / 2, y: box.top - frame.top };
}

/** Over one line, higher the farther apart the two are; from line to line, in at the top. */
function pathBetween(from, to) {
  const distance = Math.abs(to.x - from.x);
  const rise = Math.min(HIGHEST, 12 + distance / 8);
  const place = ({ x, y }, up = 0) => `${Math.round(x)} ${Math.round(y - up)}`;
  const isLevel = Math.abs(from.y - to.y) < 4;
  const steep = isLevel ? (4 / 3) * rise : rise;
  return `M${place(from)}C${place(from, steep)} ${place(to, steep)} ${place(to)}`;
}
