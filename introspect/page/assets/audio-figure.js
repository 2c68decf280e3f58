// The sound view as one Plotly figure, for a file.
import { colorBar, paperLayout } from "./figures.js";
import { NUMBER_TICKS } from "./numbers.js";
import { colorOf, withOpacity } from "./theme.js";

const SIZE = { width: 900, height: 320, margin: { l: 30, r: 100, t: 60, b: 60 } };
// How much of the height the loudest sample takes up, up and down.
const LOUDEST = 0.4;

/**
 * The waveform with the weights behind it.
 * @param {object} style the state of the view
 * @param {number[]} shares of the frames, and of the padding after them
 */
export function audioFigure(style, shares, title) {
  const { low, high, step, count } = style;
  const peak = Math.max(...high, ...low.map(Math.abs)) || 1;
  const accent = colorOf("accent");
  const middle = style.labels.map((_, frame) => (frame + 0.5) * step);
  const across = (place) => ((place + 0.5) * count * step) / low.length;
  const tints = {
    type: "heatmap",
    x: middle,
    y: [0],
    z: [shares.slice(0, count).map((share) => (Number.isNaN(share) ? null : share))],
    zmin: 0,
    colorscale: [
      [0, withOpacity(accent, 0)],
      [1, withOpacity(accent, style.opacity)],
    ],
    colorbar: colorBar("weight"),
  };
  const sound = {
    type: "scatter",
    mode: "lines",
    x: low.flatMap((_, place) => [across(place), across(place)]),
    y: low.flatMap((least, place) => [(LOUDEST * high[place]) / peak, (LOUDEST * least) / peak]),
    line: { color: colorOf("ink"), width: 1 },
  };
  const seconds = { title: { text: "seconds" }, range: [0, count * step], showgrid: false };
  return {
    data: [tints, sound],
    layout: paperLayout(title, {
      ...SIZE,
      showlegend: false,
      xaxis: { ...NUMBER_TICKS, ...seconds, zeroline: false },
      yaxis: { visible: false, range: [-0.5, 0.5] },
    }),
  };
}
