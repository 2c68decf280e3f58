// The picture of the causal view: points with intervals, on the page and as a file.
import { headName } from "./dom.js";
import { paperLayout } from "./figures.js";
import { colorOf, themed, withOpacity } from "./theme.js";

const SIGNIFICANT = 0.05;
const LETTERS = 13;
export const MARGIN = { l: 72, r: 16, t: 26, b: 56 };
const CORNERS = [
  [1, 1],
  [0, 1],
  [0, 0],
  [1, 0],
];
const FILE = { width: 900, height: 580, margin: { l: 80, r: 190, t: 80, b: 60 } };

/** Whether a head does more than the others of its layer. */
export function standsOut({ pAdjusted }) {
  return pAdjusted !== null && pAdjusted < SIGNIFICANT;
}

/** Where a head is across; null where it cannot be observed. */
export function acrossOf(head, across) {
  return across === "accuracy" ? head.attentionAccuracy : head.attentionMargin;
}

/** What is drawn on the page, without a title and a legend, which stand there as words. */
export function picture(style, across, { width, height }) {
  const layout = { ...axes(style, across), width, height, margin: MARGIN };
  return { data: traces(style, across), layout: paperLayout("", layout) };
}

/** The whole figure for a file. */
export function figure(style, across) {
  const layout = {
    ...axes(style, across),
    ...FILE,
    showlegend: true,
    legend: { title: { text: "filled: adjusted p < 0.05", font: { size: LETTERS } } },
  };
  const whole = paperLayout(style.title, layout);
  const line = {
    text: style.subtitle,
    x: 0,
    y: 1,
    yshift: 28,
    xref: "paper",
    yref: "paper",
    xanchor: "left",
    yanchor: "middle",
    showarrow: false,
    font: { color: colorOf("muted"), size: 12 },
  };
  whole.annotations = [...whole.annotations, line];
  return { data: [...legend(style), ...traces(style, across)], layout: whole };
}

/** A filled mark for each layer, whichever of its heads comes first. */
function legend({ layers, colors }) {
  return layers.map((layer, row) => ({
    type: "scatter",
    mode: "markers",
    name: `layer ${layer}`,
    x: [null],
    y: [null],
    marker: { size: 10, color: themed(colors)[row] },
  }));
}

function traces(style, across) {
  const colors = themed(style.colors);
  const layers = style.layers.map((layer, row) => {
    const heads = style.heads
      .map((head, place) => ({ ...head, place }))
      .filter((head) => head.layer === layer && acrossOf(head, across) !== null);
    return points(style, across, heads, { name: `layer ${layer}`, color: colors[row] });
  });
  const there = style.heads.filter((head) => acrossOf(head, across) !== null);
  const control = {
    type: "scatter",
    mode: "markers",
    name: "other heads of its layer",
    x: there.map((head) => acrossOf(head, across)),
    y: there.map((head) => head.control),
    marker: {
      symbol: "line-ew-open",
      size: 14,
      color: colorOf("muted"),
      line: { width: 1.5, color: colorOf("muted") },
    },
    hoverinfo: "skip",
  };
  return [control, ...layers];
}

function points(style, across, heads, { name, color }) {
  const places = style.labels[across];
  return {
    type: "scatter",
    mode: "markers+text",
    name,
    showlegend: false,
    x: heads.map((head) => acrossOf(head, across)),
    y: heads.map((head) => head.effect),
    text: heads.map((head) => (places[head.place] ? headName(head.layer, head.head) : "")),
    textposition: heads.map((head) => places[head.place] ?? "top center"),
    textfont: { color: color, size: LETTERS },
    marker: {
      size: 10,
      color: color,
      symbol: heads.map((head) => (standsOut(head) ? "circle" : "circle-open")),
      line: { width: 1.5 },
    },
    error_y: {
      type: "data",
      symmetric: false,
      array: heads.map((head) => (head.ciHigh === null ? null : head.ciHigh - head.effect)),
      arrayminus: heads.map((head) => (head.ciLow === null ? null : head.effect - head.ciLow)),
      color: withOpacity(color, 0.6),
      thickness: 1.2,
      width: 0,
    },
    hoverinfo: "skip",
  };
}

function axes(style, across) {
  const middle = style.middles[across];
  const divided =
    across === "accuracy" ? `chance: ${Math.round(100 * middle)} %` : "0: no preference";
  return {
    xaxis: {
      ...axis(`${style.acrossWords[across]} (${divided})`, style.ranges[across]),
      tickformat: across === "accuracy" ? ".0%" : "",
    },
    yaxis: axis(style.effectTitle, style.ranges.effect),
    shapes: [divider("x", middle), divider("y", 0)],
    annotations: [...corners(style.quadrants), ...(style.isSurrogate ? [stamp()] : [])],
  };
}

function axis(title, range) {
  return {
    title: { text: title, font: { size: LETTERS }, standoff: 10 },
    range,
    fixedrange: true,
    exponentformat: "power",
    zeroline: false,
    gridcolor: colorOf("line"),
    showline: true,
    mirror: true,
    linecolor: colorOf("edge"),
  };
}

function divider(name, at) {
  const other = name === "x" ? "y" : "x";
  return {
    type: "line",
    [`${name}0`]: at,
    [`${name}1`]: at,
    [`${other}ref`]: "paper",
    [`${other}0`]: 0,
    [`${other}1`]: 1,
    layer: "below",
    line: { color: colorOf("edge"), width: 1.5 },
  };
}

function corners(quadrants) {
  return quadrants.map((words, index) => {
    const [x, y] = CORNERS[index];
    return {
      text: `<i>${words}</i>`,
      x,
      y,
      xref: "paper",
      yref: "paper",
      xanchor: x ? "right" : "left",
      yanchor: y ? "top" : "bottom",
      showarrow: false,
      font: { color: colorOf("muted"), size: 12 },
    };
  });
}

function stamp() {
  return {
    text: "<b>surrogate: not the model’s answer</b>",
    x: 0.5,
    y: 1,
    xref: "paper",
    yref: "paper",
    yanchor: "bottom",
    showarrow: false,
    font: { color: colorOf("rival"), size: LETTERS },
  };
}
