// Vectors as strips of colored cells: blue for positive numbers, orange for negative ones.
import { ARROWS } from "./controls.js";
import { element, figure } from "./dom.js";
import { draw } from "./plot.js";
import { themed } from "./theme.js";

// So few numbers are written out.
const MOST_WRITTEN = 8;

/** A place for strips, which says which cell is pointed at; arrow keys walk from cell to cell. */
export function stripPlace(label, point) {
  const picture = element("div", { class: "strip-picture" });
  const mark = element("i", { class: "strip-mark", hidden: "" });
  const name = `${label}. Arrow keys walk from cell to cell.`;
  const root = element(
    "div",
    { class: "strips", tabindex: 0, role: "application", "aria-label": name },
    [picture, mark],
  );
  let cell = [0, 0];
  const extent = () => [Number(root.dataset.rows), Number(root.dataset.columns)];

  function show(next) {
    const [rows, columns] = extent();
    if (next[0] < 0 || next[0] >= rows || next[1] < 0 || next[1] >= columns) return;
    cell = next;
    mark.hidden = false;
    mark.style.left = `${(100 * cell[1]) / columns}%`;
    mark.style.top = `${(100 * cell[0]) / rows}%`;
    mark.style.width = `${100 / columns}%`;
    mark.style.height = `${100 / rows}%`;
    point(...cell);
  }

  const follow = ({ clientX, clientY }) => {
    const { left, top, width, height } = root.getBoundingClientRect();
    const [rows, columns] = extent();
    show([
      Math.floor(((clientY - top) / height) * rows),
      Math.floor(((clientX - left) / width) * columns),
    ]);
  };
  for (const move of ["pointerdown", "pointermove"]) root.addEventListener(move, follow);
  for (const leave of ["pointerleave", "blur"]) {
    root.addEventListener(leave, ({ pointerType }) => {
      mark.hidden = pointerType !== "touch";
    });
  }
  root.addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    // Elsewhere the arrows change layer and head.
    event.stopPropagation();
    show(mark.hidden ? cell : [cell[0] + step[0], cell[1] + step[1]]);
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
      vectors[0]?.length <= MOST_WRITTEN ? vectors.map((vector) => vector.map(figure)) : undefined,
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
  draw(place.firstElementChild, () => [stripTrace(vectors, largest, scale)], {
    x: [-0.5, columns - 0.5],
    y: [vectors.length - 0.5, -0.5],
    width,
    height,
  });
}
