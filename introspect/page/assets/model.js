// The model view: a small map for each head; a click shows one beside them.
import { fitting, oneOf } from "./address.js";
import { chosenPair, isOfPair } from "./chosen-pair.js";
import { choice } from "./controls.js";
import { element, figure, headName, quoted } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { colorBar, namesAxis, paperLayout } from "./figures.js";
import { openHead } from "./head.js";
import { headGrid, scaleLegend } from "./head-grid.js";
import { readLink, writeLink } from "./link.js";
import { headDetail } from "./model-detail.js";
import { joined, OwnTiles, PatternTiles, tileSize, WholeTiles } from "./model-tiles.js";
import { draw, onWidth } from "./plot.js";
import { selectionOf } from "./selection.js";
import { toldApart } from "./shares.js";
import { colorOf, onTheme, themed } from "./theme.js";
import {
  fittingWeights,
  isUnbounded,
  isWhole,
  loadMethods,
  methodOf,
  numberWords,
  patternBy,
  weighingChoice,
  weightsWords,
} from "./weighings.js";

// A grid of few heads need not be as wide as the page; together its maps are about as high as this.
const COMFORTABLE = 640;
const LARGEST_CELL = 320;
const LARGE_CELL = 96;
const LOWEST_CELL = 8;
const SORT_CELL_NAME = 16;
const ROW_NAMES = 36;
// From here on a head is shown beside the maps, else below them.
const BESIDE = 1100;
// The order of heads by the weight between the two chosen words.
const PAIR = "pair";

/** Build the view in its section. */
export async function mountModelView(section, style, record) {
  await loadMethods(record);
  const link = readLink(section.id);
  const sorts = sortings(style);
  const selection = selectionOf(record, { weights: style.weights });
  const chosen = fitting(link, { sort: oneOf(sorts.map(([name]) => name)) });
  const view = new ShownMaps(style, record, style.weights, selection);
  const state = { sort: chosen.sort ?? "layer", head: null };
  const hint = element(
    "span",
    { class: "on-screen" },
    "Point at a map to read its strongest pair.",
  );
  const caption = element("p", { class: "reading" }, hint);
  const open = (row, head, follow) => {
    const options = { follow, weights: view.weights };
    openHead(section, record, record.layers[row], head, "model view", options);
  };
  const detail = headDetail(style, view, (row, head) => open(row, head, true));
  const place = element("div", { class: "maps" });
  const note = element("p", { class: "matrix-note" });
  const acts = {
    choose: (row, head) => {
      show(row, head);
      open(row, head, false);
      selection.set({ row, head }, take);
    },
    point: (row, head) => {
      caption.textContent = `${view.name(row, head)}: ${view.say(row, head)}`;
    },
  };
  let grid = null;
  let available = 0;

  function show(row, head) {
    state.head = [row, head];
    grid.mark(row, head);
    detail.show(row, head);
  }

  /** What was chosen elsewhere on the page. */
  function take(changed) {
    const asked = changed.weights === undefined ? view.weights : changed.weights;
    const fit = fittingWeights(record, asked);
    if (fit !== view.weights) changeWeights(fit);
    else if (isOfPair(changed)) showPair();
    const isPlace = "row" in changed || "head" in changed;
    if (isPlace && selection.head < view.pattern.numHeads) show(selection.row, selection.head);
  }

  /** Of another pair every head has another number. */
  function showPair() {
    if (state.sort === PAIR) build();
    else nameCells();
    if (state.head) detail.showFacts();
  }

  function changeWeights(value) {
    view.set(value);
    if (weights) weights.querySelector("select").value = value;
    if (view.isWhole) {
      state.head = null;
      detail.clear();
    }
    build();
    if (state.head) detail.show(...state.head);
  }

  function build() {
    const { numHeads } = view.pattern;
    const say = (row, head) => view.say(row, head);
    const order = view.order(state.sort);
    grid = headGrid(record.layers, numHeads, say, acts, order, view.names);
    if (!view.isWhole) grid.emphasize(style.framed);
    if (state.head && state.head[1] < numHeads) grid.mark(...state.head);
    place.replaceChildren(
      grid.root,
      scaleLegend(style.scale, "weight 0", view.most === 1 ? "1" : figure(view.most)),
    );
    const isSigned = view.hasNegative ? "What counts against has no color." : "";
    const words = numberWords(record, view.weights);
    const isTable = words && !view.isWhole;
    const sorted = isTable ? "The numbers to sort by are not changed by the weights." : "";
    note.textContent = [words, isSigned, sorted].filter(Boolean).join(" ");
    sort.root.querySelector("select").disabled = view.isWhole;
    nameCells();
    drawMaps();
  }

  /** The number of the chosen pair belongs to each head's name. */
  function nameCells() {
    if (view.isWhole) return;
    const { pair } = view;
    grid.rename((row, head) =>
      pair ? `${pair.name} ${figure(pair.values[row][head] ?? Number.NaN)}` : "",
    );
  }

  function drawMaps() {
    const { numHeads } = view.pattern;
    const order = view.order(state.sort);
    const { height, width } = tileSize(view.tiles, style.gap);
    if (available === 0) return;
    const most = Math.min(LARGEST_CELL, COMFORTABLE / Math.max(record.numLayers, numHeads));
    const fitting = Math.min((available - ROW_NAMES) / numHeads, Math.max(LARGE_CELL, most));
    // Whole pixels keep buttons and maps together.
    const cell = fitting > LOWEST_CELL ? Math.floor(fitting) : fitting;
    const name = order ? SORT_CELL_NAME : 0;
    const cellHeight = Math.max(Math.round((cell * height) / width), LOWEST_CELL + name);
    grid.root.style.width = `${ROW_NAMES + cell * numHeads}px`;
    grid.root.style.setProperty("--cell-height", `${cellHeight}px`);
    const traces = () => {
      const { values } = joined(view.tiles, record.numLayers, style.gap, order);
      return [mapTrace(values, style, view.most)];
    };
    draw(grid.picture, traces, {
      x: [-0.5, numHeads * width - 0.5],
      y: [record.numLayers * height - 0.5, -0.5],
      width: cell * numHeads,
      height: cellHeight * record.numLayers,
    });
  }

  const sort = choice({
    name: "sort",
    label: "Sorted by",
    options: sorts,
    value: state.sort,
    change: (value) => {
      state.sort = value;
      writeLink(section.id, { sort: value === "layer" ? null : value });
      build();
    },
  });
  const weights = weighingChoice(record, view.weights, (value) => {
    changeWeights(value);
    selection.set({ weights: value }, take);
  });
  const both = element("div", { class: "map-and-detail" }, [place, detail.root]);
  const save = exportButtons(
    "model-view",
    () => wholeFigure(view, state.sort, state.head),
    () => ({ weights: weightsWords(record, view.weights) }),
  );
  section.append(
    element("div", { class: "controls" }, [sort.root, weights, save].filter(Boolean)),
    caption,
    both,
    note,
  );
  // Of a printed page a style sheet would see the window's width.
  onWidth(both, (now) => both.classList.toggle("beside", now >= BESIDE));
  build();
  onWidth(place, (now) => {
    available = now;
    drawMaps();
  });
  onTheme(() => {
    drawMaps();
    detail.draw();
  });
  selection.follow(take);
  if (!state.head && selection.head < view.pattern.numHeads) show(selection.row, selection.head);
}

/** What the maps are of: the attention itself, or another method's numbers. */
class ShownMaps {
  constructor(style, record, weights, selection) {
    Object.assign(this, { style, record, selection, known: {} });
    this.set(weights);
  }

  /** The maps by some weights, and what is found in them. */
  mapsBy(weights) {
    const { style, record, pattern } = this;
    const { tiles: given } = style.arrays;
    const own = () => (given ? new OwnTiles(given) : new WholeTiles(record));
    const tiles = methodOf(record, weights)
      ? new PatternTiles(pattern, style.cells, isUnbounded(record, weights))
      : own();
    const hasNegative = tiles.values?.some((value) => value < 0) ?? false;
    return { tiles, hasNegative, strongest: strongestPairs(pattern) };
  }

  /** The pair of words that is chosen on the page, and its weight in every head; null for none. */
  get pair() {
    const { selection } = this;
    const pair = chosenPair(selection);
    if (!pair) return null;
    // Asked for every head; numbers of one pair are put together once.
    if (this.knownPair?.pair !== pair) this.knownPair = { pair, ...this.columnOf(pair) };
    return this.knownPair;
  }

  columnOf(pair) {
    const { record } = this;
    const values = record.layers.map((_, row) =>
      Array.from({ length: record.numHeads }, (_head, head) => {
        const { weight } = pair.fact(row, head);
        return Number.isNaN(weight) ? null : weight;
      }),
    );
    return { name: pair.labels.map((label) => quoted(label, 14)).join(" to "), values };
  }

  set(weights) {
    const { record } = this;
    this.weights = weights;
    this.isWhole = isWhole(record, weights);
    this.pattern = patternBy(record, weights);
    // Who goes back to some weights need not wait again.
    this.known[weights] ??= this.mapsBy(weights);
    Object.assign(this, this.known[weights]);
    this.most = this.tiles.most;
    this.names = this.isWhole
      ? { cell: (layer) => `layer ${layer}`, column: () => "all heads" }
      : { cell: headName, column: (head) => `H${head}` };
  }

  name(row, head) {
    return this.names.cell(this.record.layers[row], head);
  }

  order(sort) {
    if (this.isWhole) return null;
    if (sort === PAIR) return this.pair ? orderOf(this.record, this.pair.values, -1) : null;
    if (sort === "layer") return null;
    const { values } = this.style.columns.find(({ name }) => name === sort.slice(1));
    return orderOf(this.record, values, sort[0] === "-" ? -1 : 1);
  }

  /** The numbers of the table for a head. */
  facts(row, head) {
    if (this.isWhole) return [];
    const { pair, style } = this;
    return [...(pair ? [pair] : []), ...style.columns].map(({ name, values }) => [
      name,
      values[row][head],
    ]);
  }

  say(row, head) {
    const values = this.facts(row, head)
      .slice(0, 2)
      .map(([name, value]) => `${name} ${figure(value ?? Number.NaN)}`);
    return [strongestText(this.pattern, this.strongest(row, head)[0]), ...values].join("; ");
  }
}

function sortings({ columns }) {
  const both = columns.flatMap(({ name }) => [
    [`-${name}`, `${name}, highest first`],
    [`+${name}`, `${name}, lowest first`],
  ]);
  return [["layer", "layer and head"], [PAIR, "chosen pair of words"], ...both];
}

/** Row and head of each place, by a number of each. Heads without a number come last. */
function orderOf(record, values, sign) {
  const places = record.layers.flatMap((_, row) =>
    Array.from({ length: record.numHeads }, (_head, head) => [row, head]),
  );
  const rank = ([row, head]) => {
    const value = values[row][head];
    return value === null ? Number.POSITIVE_INFINITY : sign * value;
  };
  return places.sort((a, b) => rank(a) - rank(b) || a[0] - b[0] || a[1] - b[1]);
}

function mapTrace(values, style, most) {
  return {
    type: "heatmap",
    z: values,
    zmin: 0,
    zmax: most,
    colorscale: themed(style.scale),
    showscale: false,
    hoverinfo: "skip",
  };
}

/** The whole grid with its names, to be saved. */
function wholeFigure(view, sort, chosen) {
  const { record, style, pattern } = view;
  const { numHeads } = pattern;
  const order = view.order(sort);
  const { values, height, width } = joined(view.tiles, record.numLayers, style.gap, order);
  const center = (place, size) => place * size + (size - 1) / 2;
  const names = (order ?? []).map(([row, head], place) => ({
    x: center(place % numHeads, width),
    y: Math.floor(place / numHeads) * height,
    text: view.name(row, head),
    showarrow: false,
    font: { size: 10 },
  }));
  const heads = Array.from({ length: numHeads }, (_, head) => head);
  const columns = heads.map((head) => center(head, width));
  const rows = record.layers.map((_, row) => center(row, height));
  const visible = { visible: !order };
  const layout = paperLayout("", {
    width: 90 + 80 + numHeads * 70,
    height: 70 + record.numLayers * 70,
    margin: { l: 50, r: 100, t: 40, b: 20 },
    annotations: names,
    shapes: chosen ? [outline(chosen, order, { numHeads, width, height })] : [],
    xaxis: namesAxis(columns, heads.map(view.names.column), { ...visible, side: "top" }),
    yaxis: namesAxis(
      rows,
      record.layers.map((layer) => `L${layer}`),
      { ...visible, range: [record.numLayers * height - 0.5, -0.5] },
    ),
  });
  const colorbar = colorBar("weight");
  return { data: [{ ...mapTrace(values, style, view.most), showscale: true, colorbar }], layout };
}

/** The frame of the chosen head, as on the page. */
function outline([row, head], order, { numHeads, width, height }) {
  const place = order
    ? order.findIndex(([r, h]) => r === row && h === head)
    : row * numHeads + Math.min(head, numHeads - 1);
  const [line, column] = [Math.floor(place / numHeads), place % numHeads];
  return {
    type: "rect",
    x0: column * width - 0.5,
    x1: (column + 1) * width - 0.5,
    y0: line * height - 0.5,
    y1: (line + 1) * height - 0.5,
    line: { color: colorOf("ink"), width: 2 },
  };
}

/** For each head its strongest pairs of tokens that are not special; found when first asked for. */
function strongestPairs(record) {
  const known = new Map();
  return (row, head) => {
    const place = row * record.numHeads + head;
    if (!known.has(place)) known.set(place, pairsOf(record, row, head));
    return known.get(place);
  };
}

const MOST_PAIRS = 6;

function pairsOf(record, row, head) {
  const best = [];
  for (let query = 0; query < record.queryLen; query += 1) {
    if (record.queries.special[query]) continue;
    record.forEachWeight(row, head, query, (key, weight) => {
      const isWeak = best.length === MOST_PAIRS && weight <= best.at(-1).weight;
      if (record.keys.special[key] || Number.isNaN(weight) || isWeak) return;
      const place = best.findIndex((pair) => weight > pair.weight);
      best.splice(place === -1 ? best.length : place, 0, { query, key, weight });
      best.length = Math.min(best.length, MOST_PAIRS);
    });
  }
  return best;
}

function strongestText(record, pair) {
  if (!pair) return "no pair without special tokens";
  const from = toldApart(record.queries, pair.query);
  const to = toldApart(record.keys, pair.key);
  return `strongest between words, ${quoted(from)} to ${quoted(to)}, ${figure(pair.weight)}`;
}
