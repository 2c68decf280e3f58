// The flow view as one Plotly figure, to be saved.
import { escaped, shortened } from "./dom.js";
import { namesAxis, paperLayout } from "./figures.js";
import { counted, percent } from "./numbers.js";
import { colorOf, withOpacity } from "./theme.js";

const ROW = 26;
const LOW_ROW = 14;
const TALLEST = 1400;
const COLUMN = 92;
const READ_COLUMN = 120;
const SHORTEST = 480;
const ROOM = 160;
const LETTER = 14;

/** What is seen as a whole figure. */
export function flowFigure(view) {
  const { canvas, edges, record, style, count } = view;
  const { lines } = canvas.rows;
  const rowOf = new Map(lines.flatMap(({ tokens }, row) => tokens.map((token) => [token, row])));
  const usual = lines.length <= 40 ? ROW : LOW_ROW;
  const height = Math.max(Math.min(usual * lines.length, TALLEST), 80);
  const every = Math.ceil((LETTER * lines.length) / height);
  const named = lines.map((_, row) => row).filter((row) => row % every === 0);
  const isRead = style.readings.length > 0;
  const data = [...lineTraces(canvas, rowOf), dots(canvas, rowOf)];
  if (isRead) data.push(words(canvas, rowOf, style.readings));
  const isSum = view.state.into === "chosen";
  const name = ({ tokens, isFold }) => {
    if (isFold) return `… ${counted(tokens.length, "token")} …`;
    const amount = isSum ? edges.amount(0, tokens[0]) : 0;
    const share = amount >= 0.005 ? `  ${percent(amount, 0)}` : "";
    return `${escaped(shortened(record.queries.labels[tokens[0]]))}${share}`;
  };
  const columns = canvas.columns.map((_, column) => column);
  const layout = paperLayout(count.textContent, {
    width: ROOM + 60 + Math.max(SHORTEST, record.numLayers * (isRead ? READ_COLUMN : COLUMN)),
    height: height + 130,
    margin: { l: ROOM, r: 60, t: 100, b: 30 },
    xaxis: namesAxis(columns, canvas.columns, {
      side: "top",
      range: [-0.25, columns.length - 0.75],
      showline: false,
      mirror: false,
    }),
    yaxis: namesAxis(
      named,
      named.map((row) => name(lines[row])),
      { range: [lines.length - 0.4, -0.6], showline: false, mirror: false },
    ),
  });
  return { data, layout };
}

function lineTraces(canvas, rowOf) {
  const { order, edges, count } = canvas;
  return order
    .map(({ step, isOwn, places }) => {
      const drawn = places.filter((place) => place < count).map((place) => edges.all[place]);
      const color = withOpacity(colorOf(isOwn ? "edge" : "accent"), canvas.opacity(step, isOwn));
      return {
        type: "scatter",
        mode: "lines",
        x: drawn.flatMap(({ row }) => [row, row + 1, null]),
        y: drawn.flatMap(({ query, key }) => [rowOf.get(key), rowOf.get(query), null]),
        line: { color, width: canvas.lineWidth(step) },
      };
    })
    .filter(({ x }) => x.length > 0);
}

function dots(canvas, rowOf) {
  const nodes = [...canvas.nodes(canvas.count)];
  return {
    type: "scatter",
    mode: "markers",
    x: nodes.map(([column]) => column),
    y: nodes.map(([, token]) => rowOf.get(token)),
    marker: {
      size: nodes.map(([column, token]) => 2 * canvas.dotSize(column, token)),
      color: colorOf("ink"),
    },
  };
}

function words(canvas, rowOf, readings) {
  const nodes = [...canvas.nodes(canvas.count)];
  return {
    type: "scatter",
    mode: "text",
    x: nodes.map(([column]) => column),
    y: nodes.map(([, token]) => rowOf.get(token) - 0.36),
    text: nodes.map(([column, token]) => escaped(shortened(readings[column][token][0], 14))),
    textfont: { size: 11, color: colorOf("ink") },
  };
}
