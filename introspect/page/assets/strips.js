// Vectors as strips of coloured cells: blue for positive numbers, orange for negative ones.
import { element } from "./dom.js";
import { draw } from "./plot.js";
import { themed } from "./theme.js";

// So few numbers are written out.
const MOST_WRITTEN = 8;

/** A place for strips, which says which cell is pointed at. */
export function stripPlace(point) {
  const root = element("div", { class: "strips" });
  root.addEventListener("pointermove", (event) => {
    const { left, top, width, height } = root.getBoundingClientRect();
    const { rows, columns } = root.dataset;
    if (!rows) return;
    const row = Math.floor(((event.clientY - top) / height) * Number(rows));
    const column = Math.floor(((event.clientX - left) / width) * Number(columns));
    if (row >= 0 && row < Number(rows) && column >= 0 && column < Number(columns)) {
      point(row, column);
    }
  });
  return root;
}

/** The largest absolute value of all vectors, for a scale; 1 if they are all nothing. */
export function largestOf(...matrices) {
  let largest = 0;
  for (const matrix of matrices) {
    for (const vector of matrix) {
      for (const value of vector) if (Math.abs(value) > largest) largest = Math.abs(value);
    }
  }
  return largest || 1;
}

/** The trace of vectors, a row each. */
export function stripTrace(vectors, largest, scale) {
  return {
    type: "heatmap",
    z: vectors.map((vector) => vector.map((value) => (Number.isNaN(value) ? null : value))),
    zmin: -largest,
    zmax: largest,
    colorscale: themed(scale),
    showscale: false,
    hoverinfo: "skip",
    ygap: 2,
    text:
      vectors[0]?.length <= MOST_WRITTEN
        ? vectors.map((vector) => vector.map((value) => value.toFixed(2)))
        : undefined,
    texttemplate: vectors[0]?.length <= MOST_WRITTEN ? "%{text}" : undefined,
  };
}

/** Draw vectors in their place. */
export function drawStrips(place, vectors, { largest, scale, rowHeight }) {
  const width = Math.floor(place.clientWidth);
  const columns = vectors[0]?.length ?? 0;
  place.dataset.rows = String(vectors.length);
  place.dataset.columns = String(columns);
  const height = vectors.length * rowHeight;
  place.style.height = `${height}px`;
  if (width === 0 || columns === 0) return;
  draw(place, [stripTrace(vectors, largest, scale)], {
    x: [-0.5, columns - 0.5],
    y: [vectors.length - 0.5, -0.5],
    width,
    height,
  });
}
