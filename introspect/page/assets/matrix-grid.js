// The values of a matrix as they are drawn: how large a cell is, and what it stands for.
import { lengthOf } from "./block.js";

const LARGEST_CELL = 30;
const LARGEST_ZOOMED = 60;
// Smaller cells cannot be told apart: several are drawn as one.
const SMALLEST_CELL = 2;
const FIT_HEIGHT = 900;
const LARGEST_SIDE = 4000;

// How large

/** The size of a cell, and how many weights a side it stands for. */
export function cellSize(available, block, zoom, largest = LARGEST_CELL) {
  const rows = lengthOf(block.query);
  const columns = lengthOf(block.key);
  const fit = Math.min(largest, available / columns, FIT_HEIGHT / rows);
  const most = Math.min(LARGEST_ZOOMED, LARGEST_SIDE / Math.max(rows, columns));
  const size = Math.max(Math.min(fit * zoom, most), fit);
  // Whole pixels are sharper, where it does not matter much.
  const cell = size > 8 ? Math.floor(size) : size;
  return { cell, factor: cell < SMALLEST_CELL ? Math.ceil(SMALLEST_CELL / cell) : 1 };
}

/** The largest cell of a part of a matrix: the part is as large as the whole was, or larger. */
export function largestCell(available, whole, block) {
  const longest = ({ query, key }) => Math.max(lengthOf(query), lengthOf(key));
  const { cell } = cellSize(available, whole, 1);
  return Math.max(LARGEST_CELL, (cell * longest(whole)) / longest(block));
}

/**
 * The values of a block, of every factor × factor ones the largest; NaN where all are missing.
 * @param {(query: number) => ArrayLike<number>} rowValues by key
 * @param {(a: number, b: number) => boolean} isMore whether a is shown rather than b
 */
export function gridOf(block, factor, rowValues, isMore = (a, b) => a > b) {
  const columns = Math.ceil(lengthOf(block.key) / factor);
  const grid = [];
  for (let query = block.query[0]; query <= block.query[1]; query += 1) {
    const line = Math.floor((query - block.query[0]) / factor);
    grid[line] ??= new Float64Array(columns).fill(Number.NaN);
    const values = rowValues(query);
    for (let key = block.key[0]; key <= block.key[1]; key += 1) {
      const place = Math.floor((key - block.key[0]) / factor);
      const isBetter = Number.isNaN(grid[line][place]) || isMore(values[key], grid[line][place]);
      if (!Number.isNaN(values[key]) && isBetter) grid[line][place] = values[key];
    }
  }
  return grid;
}

/** The largest absolute value of a grid; 0 where all are missing. */
export function largestOf(grid) {
  let largest = 0;
  for (const line of grid) {
    for (const value of line) if (Math.abs(value) > largest) largest = Math.abs(value);
  }
  return largest;
}

/** Whether a grid has missing values. */
export function hasMissing(grid) {
  return grid.some((line) => line.some(Number.isNaN));
}

/** A grid as a Plotly trace over its block. */
export function gridTrace(grid, { block, factor, range, colorscale }) {
  return {
    type: "heatmap",
    z: grid.map((line) => Array.from(line, (value) => (Number.isNaN(value) ? null : value))),
    x0: block.key[0] + (factor - 1) / 2,
    dx: factor,
    y0: block.query[0] + (factor - 1) / 2,
    dy: factor,
    zmin: range[0],
    zmax: range[1],
    colorscale,
    showscale: false,
    hoverinfo: "skip",
  };
}

/** What pooling leaves out, in words; nothing where all weights are drawn. */
export function poolingWords(factor, what = "weights") {
  if (factor === 1) return "";
  return `Each cell drawn is the largest of ${factor} × ${factor} ${what}: drag over a part to see it whole.`;
}
