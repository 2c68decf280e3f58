// The layer view as one Plotly figure, to be saved.
import { escaped, figure, shortened } from "./dom.js";
import { namedEvery } from "./layer-table.js";
import { colourOf, themed } from "./theme.js";

/** What is seen as a whole figure. */
export function layerFigure(view) {
  const { record, state, table } = view;
  const { shown } = state;
  const lines = shown.map((index) => view.values.map((line) => line[index]));
  const rows = shown.map((_, place) => place);
  const cell = table.isWritten ? 48 : Math.max(10, Math.round(table.cell));
  const every = namedEvery(cell);
  const ticks = record.layers.map((_, row) => row).filter((row) => row % every === 0);
  const trace = {
    type: "heatmap",
    z: lines.map((line) => line.map((value) => (Number.isNaN(value) ? null : value))),
    text: lines.map((line) => line.map((value) => (Number.isNaN(value) ? "–" : figure(value)))),
    texttemplate: table.isWritten ? "%{text}" : undefined,
    zmin: 0,
    zmax: view.largest,
    colorscale: themed(state.style.scale),
    colorbar: { title: { text: "weight" }, thickness: 14, outlinewidth: 0 },
    xgap: 1,
    ygap: 1,
  };
  const bare = { showgrid: false, zeroline: false, ticks: "" };
  const layout = {
    width: table.room + 150 + Math.max(240, cell * record.numLayers),
    height: 130 + Math.max(120, shown.length * state.style.rowHeight),
    margin: { l: table.room + 20, r: 130, t: 100, b: 30 },
    title: {
      text: escaped(view.words.title()),
      font: { size: 15 },
      x: 0,
      xref: "paper",
      y: 0.97,
    },
    paper_bgcolor: colourOf("paper"),
    plot_bgcolor: colourOf("paper"),
    font: { color: colourOf("ink"), size: 13 },
    xaxis: {
      ...bare,
      side: "top",
      title: { text: table.corner.textContent },
      tickvals: ticks,
      ticktext: ticks.map((row) => String(record.layers[row])),
    },
    yaxis: {
      ...bare,
      range: [shown.length - 0.5, -0.5],
      tickvals: rows,
      ticktext: shown.map((index) => escaped(shortened(state.other.labels[index]))),
    },
  };
  return { data: [trace], layout };
}
