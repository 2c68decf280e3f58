// The neuron view: query × key by dimension, the dot product, the score, the weight.
import { choice } from "./controls.js";
import { element, escaped, figure, quoted, shortened } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { columnHeadings, namesAxis, paperLayout, rowsAndOne } from "./figures.js";
import { Focus, fillNumbers, keyNames, stepColumn } from "./focal.js";
import { listMap, mapped } from "./minimap.js";
import { signMore } from "./more.js";
import { quantity } from "./numbers.js";
import { onWidth } from "./plot.js";
import { drawStrips, largestOf, stripPlace, stripTrace } from "./strips.js";
import { colorOf, onTheme } from "./theme.js";

// q·k and score differ by one factor in plain attention; this much of it is rounding.
const ROUNDING = 0.02;

/** Build the view in its section. */
export async function mountNeuronView(section, style, record) {
  for (const part of ["queries", "keys", "scores"]) await record.loadPart(part);
  const caption = element("p", { class: "reading", "aria-live": "polite" });
  const note = element("p", { class: "note" });
  let order = "as they are";
  const focus = new Focus(section, style, record, show);
  const read = (row, column) => {
    const { query, keys, dims } = parts();
    const d = dims[column];
    const key = record.keys.labels[row];
    const [q, k] = [query[d], keys[row][d]];
    caption.textContent = `Dimension ${d}, ${quoted(key)}: q ${figure(q)} × k ${figure(k)} = ${figure(q * k)}`;
  };
  const places = {
    query: stripPlace("Query, by dimension", (_row, column) => {
      const { query, dims } = parts();
      caption.textContent = `Dimension ${dims[column]} of the query: ${figure(query[dims[column]])}`;
    }),
    keys: stripPlace("Key, by dimension", read),
    products: stripPlace("Query × key, by dimension", read),
  };
  const names = keyNames(record, style.rowHeight);
  const numbers = ["q·k", "score", "weight"].map((title) => ({
    title,
    list: element("ol", { class: "numbers" }),
  }));
  const sort = choice({
    name: "sort",
    label: "Dimensions",
    options: [
      ["as they are", "in order"],
      ["strongest", "by share in the strongest key"],
    ],
    value: order,
    change: (value) => {
      order = value;
      show();
    },
  });
  const save = exportButtons(
    "neuron-view",
    () => wholeFigure(),
    () => ({ head: focus.name, weights: "raw weights" }),
  );
  const body = element("div", { class: "neuron" }, [
    element("div", { class: "query-strip" }, [element("h3", {}, "Query q"), places.query]),
    stepColumn("Token", "who attends", focus.column.list),
    stepColumn("Keys", "at what", names.list),
    stepColumn("Key k", "by dimension", places.keys),
    stepColumn("q × k", "by dimension", places.products),
    ...numbers.map(({ title, list }) => stepColumn(title, NOTES[title], list)),
  ]);
  const map = keyMap();
  section.append(
    element("div", { class: "controls" }, [...focus.controls, sort.root, save]),
    caption,
    mapped(signMore(body), map),
    note,
  );
  onWidth(places.keys, show);
  onTheme(show);
  focus.mark();
  show();

  /** The vectors of the focus, and the dimensions in the order in which they are shown. */
  function parts() {
    const query = record.vector("queries", focus.row, focus.headOf("queries"), focus.token);
    const keys = focus.vectors("keys", record.keyLen);
    const scores = record.vector("scores", focus.row, focus.headOf("scores"), focus.token);
    const weights = focus.weights();
    const dims = query.map((_, dimension) => dimension);
    if (order === "strongest") {
      const strongest = keys[weights.indexOf(Math.max(...weights))] ?? keys[0];
      dims.sort((a, b) => query[b] * strongest[b] - query[a] * strongest[a]);
    }
    return { query, keys, scores, weights, dims };
  }

  function show() {
    save.hidden = !focus.isHere(caption, body);
    if (save.hidden) return;
    map.draw();
    const { query, keys, scores, weights, dims } = parts();
    const ordered = (vector) => dims.map((dimension) => vector[dimension]);
    const products = keys.map((key) => dims.map((d) => query[d] * key[d]));
    const options = { scale: style.scale, rowHeight: style.rowHeight };
    const vectors = [ordered(query)];
    drawStrips(places.query, vectors, { ...options, largest: largestOf(vectors) });
    drawStrips(places.keys, keys.map(ordered), { ...options, largest: largestOf(keys) });
    drawStrips(places.products, products, { ...options, largest: largestOf(products) });
    const dots = products.map((product) => product.reduce((sum, value) => sum + value, 0));
    const { rowHeight } = style;
    fillNumbers(numbers[0].list, dots, { rowHeight });
    fillNumbers(numbers[1].list, scores, { rowHeight, missing: "masked" });
    fillNumbers(numbers[2].list, weights, { rowHeight, share: (weight) => weight });
    const token = record.queries.labels[focus.token];
    caption.textContent = `${focus.name}: how ${quoted(token)} weighs the others.`;
    note.textContent = relation(dots, scores);
  }

  /** Of a long text, where the keys with weight are. */
  function keyMap() {
    const items = [...names.list.children];
    return listMap({ list: names.list, items: () => items, strengths: () => focus.weights() });
  }

  function wholeFigure() {
    const { query, keys, weights, dims } = parts();
    const products = keys.map((key) => dims.map((d) => query[d] * key[d]));
    const rows = record.keyLen;
    const places = rowsAndOne(rows, true);
    const axis = { visible: false };
    const title = `${focus.name}, from ${quoted(record.queries.labels[focus.token])}`;
    const names = record.keys.labels.map((label) => escaped(shortened(label)));
    const layout = paperLayout(title, {
      width: 900,
      height: 140 + places.total * style.rowHeight,
      margin: { l: 120, r: 40, t: 90, b: 20 },
      xaxis: { ...axis, domain: [0, 0.4] },
      xaxis2: { ...axis, domain: [0.43, 0.78] },
      xaxis3: { ...axis, domain: [0.81, 1], range: [0, 1.3] },
      yaxis: namesAxis(
        weights.map((_, row) => row),
        names,
        { range: [rows - 0.5, -0.5], showline: false, domain: places.rows },
      ),
      xaxis4: { ...axis, domain: [0, 0.4], anchor: "y2" },
      yaxis2: { ...axis, domain: places.apart, anchor: "x4" },
      annotations: columnHeadings([
        ["query q", 0.2],
        ["key k", 0.2, places.rows[1]],
        ["q × k", 0.605, places.rows[1]],
        ["weight", 0.905, places.rows[1]],
      ]),
    });
    const bars = {
      type: "bar",
      orientation: "h",
      x: weights,
      y: weights.map((_, row) => row),
      text: weights.map(figure),
      xaxis: "x3",
      marker: { color: colorOf("accent") },
    };
    const ordered = keys.map((key) => dims.map((d) => key[d]));
    const vectors = [dims.map((d) => query[d])];
    const queryStrip = stripTrace(vectors, largestOf(vectors), style.scale);
    return {
      data: [
        { ...queryStrip, xaxis: "x4", yaxis: "y2" },
        stripTrace(ordered, largestOf(keys), style.scale),
        { ...stripTrace(products, largestOf(products), style.scale), xaxis: "x2" },
        bars,
      ],
      layout,
    };
  }
}

const NOTES = {
  q·k: "added up",
  score: "scaled, masked",
  weight: "softmax of the scores",
};

/** What makes the score of the dot product: a factor, or more than that. */
function relation(dots, scores) {
  const known = dots.flatMap((dot, key) =>
    Number.isNaN(scores[key]) || Math.abs(dot) < 1e-6 ? [] : [[dot, scores[key]]],
  );
  if (known.length === 0) return "";
  const square = known.reduce((sum, [dot]) => sum + dot * dot, 0);
  const factor = known.reduce((sum, [dot, score]) => sum + dot * score, 0) / square;
  const range = Math.max(...known.map(([, score]) => Math.abs(score)), 1);
  const error = Math.max(...known.map(([dot, score]) => Math.abs(score - factor * dot)));
  return error <= ROUNDING * range
    ? `Here the score is q·k × ${quantity(factor)}.`
    : "Here the score is more than a multiple of q·k: the model adds a bias for the position, or caps its scores.";
}
