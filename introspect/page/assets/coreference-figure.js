// The coreference view as one Plotly figure, to be saved: arcs over the sentence, all heads below.
import { ARC_HEIGHT } from "./coreference-arcs.js";
import { escaped, headName } from "./dom.js";
import { colorBar, paperLayout } from "./figures.js";
import { headAxes } from "./head-grid.js";
import { colorOf } from "./theme.js";

const CELL = 26;
const WORDS = 64;
const TOP = 50;
const GAP = 60;
const NARROWEST = 640;
const SERIF = "Georgia, Noto Serif, Liberation Serif, serif";

/**
 * @param {{traces: object[], texts: object[], width: number}} sentence from the strip of words
 * @param {object} map the trace of all heads
 * @param {{record: object, row: number, head: number, title: string, mapTitle: string,
 *   ends: [string, string]}} what is shown, in words
 */
export function coreferenceFigure(sentence, map, { record, row, head, title, mapTitle, ends }) {
  const inner = Math.max(NARROWEST, sentence.width);
  const mapHeight = CELL * record.numLayers;
  const height = TOP + ARC_HEIGHT + WORDS + GAP + mapHeight + 20;
  const share = (pixels) => pixels / (height - TOP - 20);
  const { xaxis, yaxis } = headAxes(record.layers, record.numHeads);
  const words = sentence.texts.flatMap(({ label, x, number, color }) => {
    const text = { x, y: 0, yref: "y2", xref: "x2", showarrow: false, yanchor: "top" };
    const font = { size: 20, family: SERIF, color: color };
    const below = { size: 14, color: color };
    return [
      { ...text, text: escaped(label), font },
      ...(number ? [{ ...text, text: `<b>${number}</b>`, font: below, yshift: -28 }] : []),
    ];
  });
  const heading = {
    text: escaped(mapTitle),
    x: 0,
    xref: "paper",
    y: share(mapHeight),
    yref: "paper",
    xanchor: "left",
    yanchor: "bottom",
    yshift: 24,
    showarrow: false,
    font: { size: 13 },
  };
  const frame = { type: "rect", x0: head - 0.5, x1: head + 0.5, y0: row - 0.5, y1: row + 0.5 };
  const [low, high] = [map.zmin, map.zmax];
  const [least, most] = ends.map(escaped);
  const colorbar = colorBar("", {
    y: 0,
    yanchor: "bottom",
    lenmode: "pixels",
    len: mapHeight,
    tickvals: [low, high],
    ticktext: [least, most],
  });
  const layout = paperLayout(title, {
    width: inner + 60 + 200,
    height,
    margin: { l: 60, r: 200, t: TOP, b: 20 },
    xaxis: { ...xaxis, anchor: "y" },
    yaxis: { ...yaxis, domain: [0, share(mapHeight)] },
    xaxis2: { visible: false, range: [0, inner], anchor: "y2" },
    yaxis2: { visible: false, range: [0, 1], domain: [1 - share(ARC_HEIGHT), 1], anchor: "x2" },
    annotations: [...words, heading],
    shapes: [{ ...frame, line: { color: colorOf("ink"), width: 3 } }],
  });
  const arcs = sentence.traces.map((trace) => ({ ...trace, xaxis: "x2", yaxis: "y2" }));
  const name = headName(record.layers[row], head);
  return { data: [{ ...map, showscale: true, colorbar, name }, ...arcs], layout };
}
