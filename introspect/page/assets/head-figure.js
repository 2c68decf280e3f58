// The head view as a whole Plotly figure, tokens and all, to be saved.
import { escaped, figure } from "./dom.js";
import { lineTraces } from "./head-lines.js";
import { colorOf } from "./theme.js";

const BREADTH = 300;
const MARGIN = 190;
const ROW = 24;
const LETTER = 9;

/** What is seen, with the tokens beside the lines. */
export function headFigure(state, style, caption) {
  const isHorizontal = state.layout === "horizontal";
  const places = isHorizontal ? wordPlaces(state) : rowPlaces(state);
  const breadth = isHorizontal ? BREADTH / 2 : BREADTH;
  const lifted = { isHorizontal, isLifted: true };
  const traces = lineTraces(state, style, places, breadth, lifted);
  const along = [0, places.end];
  const across = [-MARGIN, breadth + MARGIN];
  const [x, y] = isHorizontal ? [along, [breadth + 60, -60]] : [across, [places.end, 0]];
  const layout = {
    width: Math.max(420, x[1] - x[0]),
    height: Math.abs(y[0] - y[1]) + 60,
    margin: { l: 0, r: 0, t: 60, b: 0 },
    title: { text: escaped(caption), font: { size: 15 } },
    paper_bgcolor: colorOf("paper"),
    plot_bgcolor: colorOf("paper"),
    font: { color: colorOf("ink"), size: 14 },
    showlegend: false,
    xaxis: { visible: false, range: x },
    yaxis: { visible: false, range: y },
    annotations: ["query", "key"].flatMap((side) =>
      labels(state, side, places[side], breadth, isHorizontal),
    ),
  };
  return { data: traces, layout };
}

function rowPlaces(state) {
  const place = (side) =>
    new Map(state.shown(side).map((index, row) => [index, (row + 0.5) * ROW]));
  const rows = Math.max(state.shown("query").length, state.shown("key").length);
  return { query: place("query"), key: place("key"), end: rows * ROW };
}

function wordPlaces(state) {
  let end = 0;
  const place = (side) => {
    let left = 0;
    const sequence = state.pattern[side === "query" ? "queries" : "keys"];
    const centers = new Map();
    for (const index of state.shown(side)) {
      const width = Math.max(34, [...sequence.labels[index]].length * LETTER + 14);
      centers.set(index, left + width / 2);
      left += width;
    }
    end = Math.max(end, left);
    return centers;
  };
  const centers = { query: place("query"), key: place("key") };
  return { ...centers, end };
}

function labels(state, side, places, breadth, isHorizontal) {
  const sequence = state.pattern[side === "query" ? "queries" : "keys"];
  const sources = state.focal.filter((token) => token.side !== side).map((t) => t.index);
  const isQuery = side === "query";
  return [...places].map(([index, place]) => {
    const weight = sources.reduce(
      (sum, source) =>
        sum + (isQuery ? state.together(index, source) : state.together(source, index)),
      0,
    );
    const label = escaped(sequence.labels[index]);
    const number = sources.length > 0 && state.drawn.length > 0 ? ` <b>${figure(weight)}</b>` : "";
    const across = isQuery ? -8 : breadth + 8;
    const anchors = isHorizontal
      ? { x: place, y: across, xanchor: "center", yanchor: isQuery ? "bottom" : "top" }
      : { x: across, y: place, xanchor: isQuery ? "right" : "left", yanchor: "middle" };
    return {
      text: isQuery ? `${number} ${label}` : `${label}${number}`,
      showarrow: false,
      ...anchors,
    };
  });
}
