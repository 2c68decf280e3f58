// A matrix as a part of a whole Plotly figure, to be saved.
import { lengthOf } from "./block.js";
import { shortened } from "./dom.js";
import { namesAxis } from "./figures.js";
import { gridTrace } from "./matrix-grid.js";
import { figureLabel } from "./tokens.js";

const MOST_TICKS = 60;

/** A matrix as a part of a whole figure: its trace and its two axes. */
export function matrixFigure(panel, grid, { range, colorscale, title, colorbar, number = "" }) {
  const { block, factor, axes } = panel;
  const trace = gridTrace(grid, { block, factor, range, colorscale });
  const keyAxis = figureAxis(axes.key, block.key, "key", title ?? "key");
  const queryAxis = figureAxis(axes.query, block.query, "query", title ? "" : "query");
  return {
    trace: {
      ...trace,
      xaxis: `x${number}`,
      yaxis: `y${number}`,
      showscale: Boolean(colorbar),
      colorbar,
    },
    axes: {
      [`xaxis${number}`]: keyAxis,
      [`yaxis${number}`]: queryAxis,
    },
  };
}

function figureAxis(axis, [first, last], side, title) {
  const step = Math.ceil((last - first + 1) / MOST_TICKS);
  const places = [];
  for (let place = first; place <= last; place += step) places.push(place);
  const ends = [first - 0.5, last + 0.5];
  const labels = axis.labels.map((label) => shortened(label ?? ""));
  const names = places.map((place) => figureLabel({ ...axis, labels }, place));
  const isKey = side === "key";
  return namesAxis(places, names, {
    title,
    range: isKey ? ends : ends.reverse(),
    side: isKey ? "top" : "left",
    tickangle: isKey ? -90 : 0,
  });
}

/** A size in pixels for so many cells in a figure to be saved. */
export function figureSide(range) {
  return Math.min(Math.max(lengthOf(range) * 24, 160), 900);
}
