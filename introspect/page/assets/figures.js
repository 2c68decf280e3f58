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

/** Words above the columns of a figure, each with the middle of its column as a share of all. */
export function columnHeadings(columns) {
  return columns.map(([text, x]) => ({
    text,
    x,
    y: 1.01,
    xref: "paper",
    yref: "paper",
    yanchor: "bottom",
    showarrow: false,
  }));
}
