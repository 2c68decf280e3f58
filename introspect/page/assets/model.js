// The model view: a small map for each head; a click shows one beside them.
import { choice } from "./controls.js";
import { element, figure, headName, quoted } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { colourBar, namesAxis, paperLayout } from "./figures.js";
import { openHead } from "./head.js";
import { headGrid, scaleLegend } from "./head-grid.js";
import { namedHead, readLink, writeLink } from "./link.js";
import { headDetail } from "./model-detail.js";
import { draw, onWidth } from "./plot.js";
import { onTheme, themed } from "./theme.js";

const LOWEST_CELL = 26;
const HIGHEST_CELL = 92;
const SORT_CELL_NAME = 16;

/** Build the view in its section. */
export function mountModelView(section, style, record) {
  const link = readLink(section.id);
  const sorts = sortings(style);
  const state = {
    sort: sorts.some(([name]) => name === link.sort) ? link.sort : "layer",
    head: namedHead(link.head, record.layers, record.numHeads),
  };
  const strongest = strongestPairs(record);
  const say = (row, head) => describe(record, style, strongest(row, head)[0], row, head);
  const caption = element("p", { class: "reading" }, "Point at a map to read its strongest pair.");
  const detail = headDetail(record, style, strongest, (row, head) => {
    openHead(section, record, record.layers[row], head, "model view");
  });
  const place = element("div", { class: "maps" });
  const acts = {
    choose: (row, head) => {
      show(row, head);
      openHead(section, record, record.layers[row], head, "model view", { follow: false });
    },
    point: (row, head) => {
      caption.textContent = `${headName(record.layers[row], head)}: ${say(row, head)}`;
    },
  };
  let grid = null;
  let available = 0;

  function show(row, head) {
    state.head = [row, head];
    grid.mark(row, head);
    detail.show(row, head);
    writeLink(section.id, { head: headName(record.layers[row], head) });
  }

  function build() {
    const order = orderOf(record, style, state.sort);
    grid = headGrid(record.layers, record.numHeads, say, acts, order);
    grid.emphasise(style.framed);
    if (state.head) grid.mark(...state.head);
    place.replaceChildren(grid.root, scaleLegend(style.scale, "weight 0", "1"));
    onWidth(grid.picture.parentElement, (now) => {
      available = now;
      drawMaps();
    });
  }

  function drawMaps() {
    const order = orderOf(record, style, state.sort);
    const { tiles, height, width } = joinedTiles(record, style, order);
    if (available === 0) return;
    const cell = available / record.numHeads;
    const name = order ? SORT_CELL_NAME : 0;
    const cellHeight = Math.min(
      Math.max((cell * height) / width, LOWEST_CELL + name),
      HIGHEST_CELL,
    );
    grid.root.style.setProperty("--cell-height", `${cellHeight}px`);
    draw(grid.picture, [mapTrace(tiles, style)], {
      x: [-0.5, record.numHeads * width - 0.5],
      y: [record.numLayers * height - 0.5, -0.5],
      width: available,
      height: Math.round(cellHeight * record.numLayers),
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
  const save = exportButtons("model-view", () => wholeFigure(record, style, state.sort));
  section.append(
    element("div", { class: "controls" }, [sort.root, save]),
    caption,
    element("div", { class: "map-and-detail" }, [place, detail.root]),
  );
  build();
  onTheme(() => {
    drawMaps();
    detail.draw();
  });
  if (state.head) show(...state.head);
}

function sortings({ columns }) {
  const both = columns.flatMap(({ name }) => [
    [`-${name}`, `${name}, highest first`],
    [`+${name}`, `${name}, lowest first`],
  ]);
  return [["layer", "layer and head"], ...both];
}

/** Row and head of each place; null for the order of layers. Heads without a number come last. */
function orderOf(record, style, sort) {
  if (sort === "layer") return null;
  const { values } = style.columns.find(({ name }) => name === sort.slice(1));
  const sign = sort[0] === "-" ? -1 : 1;
  const places = record.layers.flatMap((_, row) =>
    Array.from({ length: record.numHeads }, (_head, head) => [row, head]),
  );
  const rank = ([row, head]) => {
    const value = values[row][head];
    return value === null ? Number.POSITIVE_INFINITY : sign * value;
  };
  return places.sort((a, b) => rank(a) - rank(b) || a[0] - b[0] || a[1] - b[1]);
}

function mapTrace(tiles, style) {
  return {
    type: "heatmap",
    z: tiles,
    zmin: 0,
    zmax: 1,
    colorscale: themed(style.scale),
    showscale: false,
    hoverinfo: "skip",
  };
}

/** All patterns, pooled where they are long, side by side with gaps between them. */
function joinedTiles(record, { arrays, gap }, order) {
  const [, , tileHeight, tileWidth] = arrays.tiles.shape;
  const height = tileHeight + 2 * gap;
  const width = tileWidth + 2 * gap;
  const tiles = Array.from({ length: record.numLayers * height }, () =>
    new Array(record.numHeads * width).fill(null),
  );
  for (let line = 0; line < record.numLayers; line += 1) {
    for (let column = 0; column < record.numHeads; column += 1) {
      const [row, head] = order ? order[line * record.numHeads + column] : [line, column];
      const start = (row * record.numHeads + head) * tileHeight * tileWidth;
      for (let cell = 0; cell < tileHeight * tileWidth; cell += 1) {
        const value = arrays.tiles.at(start + cell);
        if (Number.isNaN(value)) continue;
        const y = line * height + gap + Math.floor(cell / tileWidth);
        tiles[y][column * width + gap + (cell % tileWidth)] = value;
      }
    }
  }
  return { tiles, height, width };
}

/** The whole grid with its names, to be saved. */
function wholeFigure(record, style, sort) {
  const order = orderOf(record, style, sort);
  const { tiles, height, width } = joinedTiles(record, style, order);
  const centre = (place, size) => place * size + (size - 1) / 2;
  const names = (order ?? []).map(([row, head], place) => ({
    x: centre(place % record.numHeads, width),
    y: Math.floor(place / record.numHeads) * height,
    text: headName(record.layers[row], head),
    showarrow: false,
    font: { size: 10 },
  }));
  const heads = Array.from({ length: record.numHeads }, (_, head) => head);
  const columns = heads.map((head) => centre(head, width));
  const rows = record.layers.map((_, row) => centre(row, height));
  const visible = { visible: !order };
  const layout = paperLayout("", {
    width: 90 + 80 + record.numHeads * 70,
    height: 70 + record.numLayers * 70,
    margin: { l: 50, r: 100, t: 40, b: 20 },
    annotations: names,
    xaxis: namesAxis(
      columns,
      heads.map((head) => `H${head}`),
      { ...visible, side: "top" },
    ),
    yaxis: namesAxis(
      rows,
      record.layers.map((layer) => `L${layer}`),
      { ...visible, range: [record.numLayers * height - 0.5, -0.5] },
    ),
  });
  const colorbar = colourBar("weight");
  return { data: [{ ...mapTrace(tiles, style), showscale: true, colorbar }], layout };
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

function describe(record, style, pair, row, head) {
  const values = style.columns
    .slice(0, 2)
    .map(({ name, values }) => `${name} ${figure(values[row][head] ?? Number.NaN)}`);
  return [strongestText(record, pair), ...values].join("; ");
}

function strongestText(record, pair) {
  if (!pair) return "no pair without special tokens";
  const from = record.queries.labels[pair.query];
  const to = record.keys.labels[pair.key];
  return `strongest between words, ${quoted(from)} to ${quoted(to)}, ${figure(pair.weight)}`;
}
