// The layer view as one Plotly figure, to be saved.
import { escaped, figure, shortened } from "./dom.js";
import { colorBar, namesAxis, paperLayout } from "./figures.js";
import { namedEvery } from "./layer-table.js";
import { themed } from "./theme.js";

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
    colorbar: colorBar("weight"),
    xgap: 1,
    ygap: 1,
  };
  const layerNames = ticks.map((row) => String(record.layers[row]));
  const tokenNames = shown.map((index) => escaped(shortened(state.other.labels[index])));
  const layout = paperLayout(view.words.title(), {
    width: table.room + 150 + Math.max(240, cell * record.numLayers),
    height: 120 + Math.max(120, shown.length * state.style.rowHeight),
    margin: { l: table.room + 20, r: 130, t: 90, b: 30 },
    xaxis: namesAxis(ticks, layerNames, { title: table.corner.textContent, side: "top" }),
    yaxis: namesAxis(rows, tokenNames, { range: [shown.length - 0.5, -0.5] }),
  });
  return { data: [trace], layout };
}
