// The model view: a small map for each head, a click opens it.
import { element, figure, headName } from "./dom.js";
import { openHead } from "./head.js";
import { headGrid, scaleLegend } from "./head-grid.js";
import { draw, onWidth } from "./plot.js";

const LOWEST_CELL = 26;
const HIGHEST_CELL = 92;

/** Build the view in its section. */
export function mountModelView(section, style, record) {
  const strongest = strongestPairs(record);
  const caption = element("p", { class: "reading" }, "Point at a map to read its strongest pair.");
  const grid = headGrid(
    record.layers,
    record.numHeads,
    (row, head) => describe(record, strongest(row, head)),
    {
      choose: (row, head) => {
        grid.mark(row, head);
        openHead(section, record, record.layers[row], head, "model view");
      },
      point: (row, head) => {
        const name = headName(record.layers[row], head);
        caption.textContent = `${name}: ${describe(record, strongest(row, head))}`;
      },
    },
  );
  section.append(caption, grid.root, scaleLegend(style.scale, "weight 0", "1"));
  const { tiles, height, width } = joinedTiles(record, style);
  const trace = {
    type: "heatmap",
    z: tiles,
    zmin: 0,
    zmax: 1,
    colorscale: style.scale,
    showscale: false,
    hoverinfo: "skip",
  };
  onWidth(grid.picture.parentElement, (available) => {
    const cell = available / record.numHeads;
    const cellHeight = Math.min(Math.max((cell * height) / width, LOWEST_CELL), HIGHEST_CELL);
    grid.root.style.setProperty("--cell-height", `${cellHeight}px`);
    draw(grid.picture, [trace], {
      x: [-0.5, record.numHeads * width - 0.5],
      y: [record.numLayers * height - 0.5, -0.5],
      width: available,
      height: Math.round(cellHeight * record.numLayers),
    });
  });
}

/** All patterns side by side with gaps between them, pooled by the maximum where they are long. */
function joinedTiles(record, { tileCells, gap }) {
  const stepQuery = Math.ceil(record.queryLen / tileCells);
  const stepKey = Math.ceil(record.keyLen / tileCells);
  const height = Math.ceil(record.queryLen / stepQuery) + 2 * gap;
  const width = Math.ceil(record.keyLen / stepKey) + 2 * gap;
  const tiles = Array.from({ length: record.numLayers * height }, () =>
    new Array(record.numHeads * width).fill(null),
  );
  for (let row = 0; row < record.numLayers; row += 1) {
    for (let head = 0; head < record.numHeads; head += 1) {
      for (let query = 0; query < record.queryLen; query += 1) {
        const line = tiles[row * height + gap + Math.floor(query / stepQuery)];
        for (let key = 0; key < record.keyLen; key += 1) {
          const place = head * width + gap + Math.floor(key / stepKey);
          const weight = record.weight(row, head, query, key);
          if (!Number.isNaN(weight)) line[place] = Math.max(line[place] ?? 0, weight);
        }
      }
    }
  }
  return { tiles, height, width };
}

/** For each head its strongest pair of tokens that are not special; found when first asked for. */
function strongestPairs(record) {
  const known = new Map();
  return (row, head) => {
    const place = row * record.numHeads + head;
    if (!known.has(place)) known.set(place, strongestPair(record, row, head));
    return known.get(place);
  };
}

function strongestPair(record, row, head) {
  let best = null;
  for (let query = 0; query < record.queryLen; query += 1) {
    if (record.queries.special[query]) continue;
    for (let key = 0; key < record.keyLen; key += 1) {
      if (record.keys.special[key]) continue;
      const weight = record.weight(row, head, query, key);
      if (weight > (best?.weight ?? -1)) best = { query, key, weight };
    }
  }
  return best;
}

function describe(record, pair) {
  if (!pair) return "no pair without special tokens";
  const from = record.queries.labels[pair.query];
  const to = record.keys.labels[pair.key];
  return `strongest between words, “${from}” to “${to}”, ${figure(pair.weight)}`;
}
