// The forest plot: one line for each head or baseline, with its interval.
import { element } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { draw, onWidth } from "./plot.js";
import { colorOf, onTheme } from "./theme.js";

const ROW = 28;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
const COLORS = { "held-out": "accent", baseline: "muted", head: "ink" };
const FIGURE_WIDTH = 760;

/** Build the view in its section. */
export function mountForestView(section, style) {
  const { rows } = style;
  const picture = element("div", { class: "forest-picture", "aria-hidden": "true" });
  const axis = element("div", { class: "forest-axis", "aria-hidden": "true" });
  axis.append(...TICKS.map(tick));
  const lines = rows.map(line);
  const body = element("div", { class: "forest", role: "table", "aria-label": "Accuracies" }, [
    ...lines,
    element("div", { class: "forest-plot", role: "presentation" }, [picture, axis]),
  ]);
  body.style.setProperty("--forest-rows", String(rows.length));
  section.append(
    element(
      "div",
      { class: "controls" },
      exportButtons("forest", () => figure(rows)),
    ),
    body,
  );
  let width = 0;
  const show = () => {
    if (width === 0) return;
    const x = [0, 1];
    const y = [rows.length - 0.5, -0.5];
    draw(picture, traces(rows), { x, y, width, height: ROW * rows.length, shapes: guides() });
  };
  onWidth(picture, (now) => {
    width = now;
    show();
  });
  onTheme(show);
}

function line(row, index) {
  const cells = [
    element("span", { class: "forest-name", role: "cell" }, row.name),
    element("span", { class: "forest-value", role: "cell" }, words(row)),
  ];
  const made = element("div", { class: `forest-row ${row.kind}`, role: "row" }, cells);
  made.style.gridRow = String(index + 1);
  return made;
}

function words({ accuracy, low, high, raw }) {
  const percent = (value) => (100 * value).toFixed(1);
  const range = low === null ? "" : ` (${percent(low)}–${percent(high)})`;
  const beside = raw === undefined ? "" : `, raw ${percent(raw)} %`;
  return `${percent(accuracy)} %${range}${beside}`;
}

function tick(at) {
  const made = element("span", { class: "forest-tick" }, `${100 * at} %`);
  made.style.left = `${100 * at}%`;
  return made;
}

function guides() {
  return TICKS.map((at) => ({
    type: "line",
    x0: at,
    x1: at,
    yref: "paper",
    y0: 0,
    y1: 1,
    layer: "below",
    line: { color: colorOf("line"), width: 1 },
  }));
}

function traces(rows) {
  const colors = rows.map((row) => colorOf(COLORS[row.kind]));
  const bars = rows.map((row, index) => ({
    type: "scatter",
    mode: "lines",
    x: [row.low ?? row.accuracy, row.high ?? row.accuracy],
    y: [index, index],
    line: { color: colors[index], width: row.kind === "held-out" ? 3 : 1.5 },
    hoverinfo: "skip",
  }));
  const points = {
    type: "scatter",
    mode: "markers",
    x: rows.map((row) => row.accuracy),
    y: rows.map((_, index) => index),
    marker: {
      color: colors,
      size: 9,
      symbol: rows.map((row) => (row.kind === "baseline" ? "circle-open" : "circle")),
    },
    hoverinfo: "skip",
  };
  return [...bars, points];
}

function figure(rows) {
  return {
    data: traces(rows),
    layout: {
      width: FIGURE_WIDTH,
      height: ROW * rows.length + 90,
      margin: { l: 190, r: 30, t: 20, b: 60 },
      paper_bgcolor: colorOf("paper"),
      plot_bgcolor: colorOf("paper"),
      font: { color: colorOf("ink"), size: 13 },
      showlegend: false,
      xaxis: {
        range: [0, 1],
        tickformat: ".0%",
        title: { text: "share of cases that are right" },
        gridcolor: colorOf("line"),
        zeroline: false,
      },
      yaxis: {
        range: [rows.length - 0.5, -0.5],
        tickvals: rows.map((_, index) => index),
        ticktext: rows.map((row) => row.name),
        showgrid: false,
        zeroline: false,
      },
    },
  };
}
