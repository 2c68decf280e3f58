// The image view as one Plotly figure, for a file.
import { headName } from "./dom.js";
import { colorBar, paperLayout } from "./figures.js";
import { colorOf, withOpacity } from "./theme.js";

const WIDTH = 640;
const MARGIN = { l: 20, r: 100, t: 60, b: 20 };

/**
 * The picture with the weights over it, as they are seen.
 * @param {HTMLImageElement} picture as it is shown: gray, or in its colors
 * @param {number[]} weights of all tokens
 */
export function imageFigure(style, record, state, picture, weights) {
  const z = Array.from({ length: style.rows }, (_, row) =>
    Array.from({ length: style.columns }, (_column, column) => {
      const weight = weights[style.first + row * style.columns + column];
      return Number.isNaN(weight) ? null : weight;
    }),
  );
  const accent = colorOf("accent");
  const trace = {
    type: "heatmap",
    z,
    zmin: 0,
    colorscale: [
      [0, withOpacity(accent, 0)],
      [1, withOpacity(accent, style.opacity)],
    ],
    colorbar: colorBar("weight"),
  };
  const axis = { visible: false };
  const edges = { x: -0.5, y: -0.5, sizex: style.columns, sizey: style.rows };
  const image = { ...edges, xref: "x", yref: "y", sizing: "stretch", layer: "below" };
  return {
    data: [trace],
    layout: paperLayout(titleOf(record, state), {
      width: WIDTH + MARGIN.l + MARGIN.r,
      height: Math.round((WIDTH * style.height) / style.width) + MARGIN.t + MARGIN.b,
      margin: MARGIN,
      xaxis: { ...axis, range: [-0.5, style.columns - 0.5] },
      yaxis: { ...axis, range: [style.rows - 0.5, -0.5] },
      images: [{ ...image, source: addressOf(picture) }],
    }),
  };
}

function titleOf(record, { row, heads, side, token }) {
  const layer = record.layers[row];
  const name =
    heads.length === 1
      ? headName(layer, heads[0])
      : `layer ${layer}, mean of ${heads.length} heads`;
  const place = record.queries.labels[token];
  return `${name}: ${side === "query" ? `what ${place} attends to` : `what attends to ${place}`}`;
}

/** The picture as data, gray where it is seen gray. */
function addressOf(picture) {
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  const brush = canvas.getContext("2d");
  brush.filter = getComputedStyle(picture).filter;
  brush.drawImage(picture, 0, 0);
  return canvas.toDataURL("image/png");
}
