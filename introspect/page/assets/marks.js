// The marks of a figure that was drawn in Python: what they are called, say, and are next to.

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
// Properties that hold words, which may look like colors.
const WORDS = new Set(["text", "hovertext", "customdata", "ticktext", "name"]);
const STEPS = {
  ArrowRight: ["x", 1],
  ArrowLeft: ["x", -1],
  ArrowUp: ["y", 1],
  ArrowDown: ["y", -1],
};

/** A figure with other colors: each one that `partners` names is replaced, but not in words. */
export function recolored(value, partners) {
  if (typeof value === "string") return Object.hasOwn(partners, value) ? partners[value] : value;
  if (Array.isArray(value)) return value.map((one) => recolored(one, partners));
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, one]) => [
    key,
    WORDS.has(key) ? one : recolored(one, partners),
  ]);
  return Object.fromEntries(entries);
}

/** Words of Plotly's as plain lines of text. */
export function linesOf(words) {
  return words
    .split("<br>")
    .map((line) => line.replaceAll(/&lt;|&gt;|&amp;/g, (entity) => ENTITIES[entity]));
}

/** A line as its name and what it says, at its last colon. */
export function factOf(line) {
  const end = line.lastIndexOf(": ");
  return end === -1 ? [line, ""] : [line.slice(0, end), line.slice(end + 2)];
}

/**
 * All that is named in a figure: the cells of a map, or points.
 * @returns {{name: string, words: string, x: number, y: number, isCell: boolean}[]}
 */
export function marksOf(data) {
  const marks = data.flatMap((trace) => {
    if (!trace.customdata) return [];
    if (trace.type === "heatmap") return cellsOf(trace);
    return trace.customdata.map((name, place) => ({
      name,
      words: trace.hovertext[place],
      x: trace.x[place],
      y: trace.y[place],
      isCell: false,
    }));
  });
  return marks.filter(({ x, y }) => x !== null && y !== null);
}

function cellsOf({ customdata, hovertext }) {
  return customdata.flatMap((line, y) =>
    line.map((name, x) => ({ name, words: hovertext[y][x], x, y, isCell: true })),
  );
}

/**
 * The mark that an arrow key leads to: the next cell, or of points the next in order, so that each
 * is reached; undefined at an end, null for another key.
 * @param {boolean} isReversed whether the y-axis runs downward
 */
export function neighbor(marks, mark, key, isReversed) {
  const [axis, direction] = STEPS[key] ?? [];
  if (!axis) return null;
  const step = axis === "y" && isReversed ? -direction : direction;
  if (mark.isCell) {
    const other = axis === "x" ? "y" : "x";
    return marks.find((one) => one[axis] === mark[axis] + step && one[other] === mark[other]);
  }
  const order = marks.toSorted((a, b) => a[axis] - b[axis]);
  return order[order.indexOf(mark) + step];
}

/** The index of the place nearest to a point, if it is at most so far away; otherwise -1. */
export function nearest(places, [x, y], most) {
  const distances = places.map(([left, top]) => Math.hypot(left - x, top - y));
  const least = Math.min(...distances);
  return least <= most ? distances.indexOf(least) : -1;
}
