// A matrix as a part of a whole Plotly figure, to be saved.
import { lengthOf } from "./block.js";
import { escaped, shortened } from "./dom.js";
import { gridTrace } from "./matrix-grid.js";

const MOST_TICKS = 60;

/** A matrix as a part of a whole figure: its trace and its two axes. */
export function matrixFigure(panel, grid, { range, colorscale, title, colorbar, number = "" }) {
  const { block, factor, axes } = panel;
  const trace = gridTrace(grid, { block, factor, range, colorscale });
  const keyAxis = figureAxis(axes.key, block.key, "key");
  const queryAxis = figureAxis(axes.query, block.query, "query");
  return {
    trace: {
      ...trace,
      xaxis: `x${number}`,
      yaxis: `y${number}`,
      showscale: Boolean(colorbar),
      colorbar,
    },
    axes: {
      [`xaxis${number}`]: { ...keyAxis, title: { text: title ?? "key" } },
      [`yaxis${number}`]: { ...queryAxis, title: { text: title === undefined ? "query" : "" } },
    },
  };
}

function figureAxis(axis, [first, last], side) {
  const step = Math.ceil((last - first + 1) / MOST_TICKS);
  const places = [];
  for (let place = first; place <= last; place += step) places.push(place);
  const ends = [first - 0.5, last + 0.5];
  return {
    tickvals: places,
    ticktext: places.map((place) => escaped(shortened(axis.labels[place] ?? ""))),
    range: side === "key" ? ends : ends.reverse(),
    side: side === "key" ? "top" : "left",
    tickangle: side === "key" ? -90 : 0,
    showgrid: false,
    zeroline: false,
    ticks: "",
  };
}

/** A size in pixels for so many cells in a figure to be saved. */
export function figureSide(range) {
  return Math.min(Math.max(lengthOf(range) * 24, 160), 900);
}
