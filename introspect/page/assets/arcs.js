// Arcs from one word to others, over the lines of a text that wraps.
import { svgElement } from "./dom.js";
import { passageNear } from "./word-lines.js";

const HIGHEST = 34;
const LOWEST = 6;

/** The layer that arcs are drawn on, above a text. */
export function arcLayer() {
  return svgElement("svg", { class: "word-arcs", "aria-hidden": "true" });
}

/**
 * Draw an arc from a word to each of some others.
 * @param {Element} layer of `arcLayer`, as large as the text
 * @param {object[]} lines of the text, from `linesOf`
 * @param {Element} origin the word that they start from
 * @param {{word: Element, strength: number, role: string}[]} ends
 */
export function drawArcs(layer, lines, origin, ends) {
  const frame = layer.parentElement.getBoundingClientRect();
  layer.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  const from = placeOf(lines, origin);
  const paths = ends.map(({ word, strength, role }) => {
    return svgElement("path", {
      d: pathBetween(lines, from, placeOf(lines, word)),
      "stroke-width": 1 + 5 * strength,
      "stroke-opacity": 0.35 + 0.65 * strength,
      "data-role": role,
    });
  });
  layer.replaceChildren(...paths);
}

/** The line of a word and its box there; of a word that is cut into lines, its first. */
function placeOf(lines, word) {
  const line = lines.findIndex(({ boxes }) => boxes.some(({ part }) => part === word));
  return { line, box: lines[line].boxes.find(({ part }) => part === word) };
}

const middle = ({ left, right }) => (left + right) / 2;
const point = (x, y) => `${Math.round(x)} ${Math.round(y)}`;

/** Over one line, or through the space between lines: it strikes no word. */
export function pathBetween(lines, from, to) {
  return from.line === to.line
    ? pathOver(lines, from, to)
    : pathThrough(lines, from, to, Math.sign(to.line - from.line));
}

/** Over a line, higher the farther apart the two are, and no higher than there is room. */
function pathOver(lines, from, to) {
  const [x, end] = [middle(from.box), middle(to.box)];
  const above = lines[from.line - 1];
  const room = above ? lines[from.line].top - lowest(above) - 2 : HIGHEST;
  const rise = Math.max(Math.min(HIGHEST, 12 + Math.abs(end - x) / 8, room), LOWEST);
  // A curve reaches three quarters of the height of the points that it bends to.
  const [top, bottom] = [from.box.top, to.box.top].map((y) => y - (4 / 3) * rise);
  return `M${point(x, from.box.top)}C${point(x, top)} ${point(end, bottom)} ${point(end, to.box.top)}`;
}

/** From line to line, between the words of those that lie between. */
function pathThrough(lines, from, to, step) {
  const edges = (line) => (step > 0 ? [line.top, lowest(line)] : [lowest(line), line.top]);
  const [x, end] = [middle(from.box), middle(to.box)];
  const count = Math.abs(to.line - from.line);
  let path = `M${point(x, step > 0 ? under(from.box) : from.box.top)}`;
  let at = [x, edges(lines[from.line])[1]];
  path += `L${point(...at)}`;
  for (let number = 1; number < count; number += 1) {
    const line = lines[from.line + step * number];
    const place = passageNear(line, x + ((end - x) * number) / count);
    const [before, after] = edges(line);
    path += `${bend(at, [place, before])}L${point(place, after)}`;
    at = [place, after];
  }
  const [edge] = edges(lines[to.line]);
  path += bend(at, [end, edge]);
  return `${path}L${point(end, step > 0 ? to.box.top : under(to.box))}`;
}

/** The lower edge of a word and of its number. */
function under({ bottom, number }) {
  return Math.max(bottom, number?.bottom ?? bottom);
}

/** The lower edge of a line and of all numbers below it. */
function lowest({ bottom, numbers = [] }) {
  return Math.max(bottom, ...numbers.map((number) => number.bottom));
}

/** From one place to another that is above or below, level in the middle. */
function bend([x, y], [end, bottom]) {
  const half = (y + bottom) / 2;
  return `C${point(x, half)} ${point(end, half)} ${point(end, bottom)}`;
}
