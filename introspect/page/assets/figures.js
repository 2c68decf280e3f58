// What all figures to be saved have in common: paper, ink, the size of letters, plain axes.
import { escaped } from "./dom.js";
import { colorOf } from "./theme.js";

const LETTERS = 13;
// As in views/plotly_numbers.py: by default Plotly writes 0.0002 as 200μ, and 20000 as 20k.
const NUMBER_TICKS = { exponentformat: "power", separatethousands: true };

/** The layout of a figure: on the page's paper, in its ink, with a title above its left edge. */
export function paperLayout(title, layout) {
  return {
    title: {
      text: escaped(title),
      font: { size: 15 },
      x: 0,
      xref: "paper",
      y: 0.98,
      yanchor: "top",
    },
    paper_bgcolor: colorOf("paper"),
    plot_bgcolor: colorOf("paper"),
    font: { color: colorOf("ink"), size: LETTERS },
    showlegend: false,
    ...layout,
  };
}

/** An axis of nothing but names, a little apart from what they name. */
export function namesAxis(places, names, options = {}) {
  const { title = "", ...others } = options;
  return {
    tickvals: places,
    ticktext: names,
    showgrid: false,
    zeroline: false,
    ticks: "outside",
    ticklen: 4,
    tickcolor: "rgba(0,0,0,0)",
    showline: true,
    mirror: true,
    linecolor: colorOf("line"),
    title: { text: title, font: { size: LETTERS }, standoff: 10 },
    ...others,
  };
}

/** The scale of the colors, beside a figure. */
export function colorBar(text, options = {}) {
  const title = { text: escaped(text), font: { size: LETTERS } };
  return { title, thickness: 12, outlinewidth: 0, ...NUMBER_TICKS, ...options };
}

// Between the rows of a figure and the one apart from them there is room for a title, in rows.
const GAP = 1.4;

/**
 * Where rows stand in a figure that has one more row apart from them, as shares of its height.
 * @returns {{rows: number[], apart: number[], total: number}} the last counts all in rows
 */
export function rowsAndOne(count, isAbove) {
  const total = count + GAP + 1;
  const one = 1 / total;
  return isAbove
    ? { rows: [0, count / total], apart: [1 - one, 1], total }
    : { rows: [1 - count / total, 1], apart: [0, one], total };
}

/** Words above the columns of a figure, each with the middle of its column as a share of all. */
export function columnHeadings(columns) {
  return columns.map(([text, x, y = 1]) => ({
    text,
    x,
    y: y + 0.01,
    xref: "paper",
    yref: "paper",
    xanchor: "center",
    yanchor: "bottom",
    showarrow: false,
  }));
}
