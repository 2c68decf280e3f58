// The head view as a whole Plotly figure, tokens and all, to be saved.
import { escaped, figure } from "./dom.js";
import { lineTraces } from "./head-lines.js";
import { counted } from "./numbers.js";
import { colorOf } from "./theme.js";
import { figureLabel } from "./tokens.js";

const BREADTH = 300;
const MARGIN = 190;
const ROW = 24;
const LETTER = 9;

/** What is seen, with the tokens beside the lines. */
export function headFigure(state, style, sides, caption) {
  const isHorizontal = state.layout === "horizontal";
  const places = isHorizontal ? wordPlaces(state, sides) : rowPlaces(sides);
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
    annotations: [
      ...["query", "key"].flatMap((side) =>
        labels(state, side, places[side], breadth, isHorizontal),
      ),
      ...(isHorizontal ? [] : foldLabels(sides, breadth)),
    ],
  };
  return { data: traces, layout };
}

function rowPlaces(sides) {
  const place = (side) =>
    new Map(
      sides[side].rows.flatMap(({ token }, row) =>
        token === undefined ? [] : [[token, (row + 0.5) * ROW]],
      ),
    );
  const rows = Math.max(sides.query.rows.length, sides.key.rows.length);
  return { query: place("query"), key: place("key"), end: rows * ROW };
}

function wordPlaces(state, sides) {
  let end = 0;
  const place = (side) => {
    let left = 0;
    const { labels } = state.pattern[side === "query" ? "queries" : "keys"];
    const centers = new Map();
    for (const { token, folded } of sides[side].rows) {
      const words = token === undefined ? foldWords(folded) : labels[token];
      const width = Math.max(34, [...words].length * LETTER + 14);
      if (token !== undefined) centers.set(token, left + width / 2);
      left += width;
    }
    end = Math.max(end, left);
    return centers;
  };
  const centers = { query: place("query"), key: place("key") };
  return { ...centers, end };
}

/** What stands for tokens that are folded. */
function foldWords(folded) {
  return folded ? `… ${counted(folded.length, "token")} …` : "";
}

/** Between the rows of a figure, how many tokens are folded there. */
function foldLabels(sides, breadth) {
  return ["query", "key"].flatMap((side) =>
    sides[side].rows.flatMap(({ folded }, row) =>
      folded
        ? [
            {
              text: foldWords(folded),
              showarrow: false,
              x: side === "query" ? -8 : breadth + 8,
              y: (row + 0.5) * ROW,
              xanchor: side === "query" ? "right" : "left",
              yanchor: "middle",
              font: { size: 11, color: colorOf("muted") },
            },
          ]
        : [],
    ),
  );
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
    const label = figureLabel(sequence, index);
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
