// Layers × heads: labels, a place for a picture, and over it a button for each head.
import { ARROWS } from "./controls.js";
import { element, headName } from "./dom.js";
import { namesAxis } from "./figures.js";
import { draw, onWidth } from "./plot.js";

const NARROWEST_NAME = 30;
const HEADS = { cell: headName, column: (head) => `H${head}` };

/**
 * A grid of heads. Tab enters it once; arrows walk, Enter or a click chooses.
 * @param {number[]} layers the model's own numbers, a row each
 * @param {number} numHeads the columns
 * @param {(row: number, head: number) => string} describe what a cell says of itself
 * @param {{choose: Function, point?: Function}} acts called with row and head
 * @param {[number, number][]} order row and head of each place, in reading order; by default the
 *   places of a grid of layers
 * @param {{cell: Function, column: Function}} names of a cell, by layer and head, and of a column
 */
export function headGrid(
  layers,
  numHeads,
  describe,
  { choose, point },
  order = null,
  names = HEADS,
) {
  const picture = element("div", { class: "picture" });
  const tip = element("div", { class: "cell-tip", "aria-hidden": "true", hidden: "" });
  const places = new Map();
  const cells = layers.map((_layer, line) =>
    Array.from({ length: numHeads }, (_, column) => {
      const [row, head] = order ? order[line * numHeads + column] : [line, column];
      const layer = layers[row];
      const cell = element("button", {
        type: "button",
        class: "cell",
        tabindex: -1,
        "data-layer": layer,
        "data-head": head,
        "aria-label": names.cell(layer, head),
      });
      places.set(cell, { row, head, line, column });
      if (order) cell.append(element("span", { class: "cell-name" }, names.cell(layer, head)));
      return cell;
    }),
  );
  const all = [...places.keys()];
  let entered = null;
  let marked = null;

  function enterAt(cell) {
    if (entered) entered.tabIndex = -1;
    entered = cell;
    cell.tabIndex = 0;
  }

  function show(cell) {
    const { row, head } = places.get(cell);
    label(cell, row, head);
    point?.(row, head);
  }

  function walk(event, { line, column }) {
    const [down, right] = ARROWS[event.key] ?? [0, 0];
    const next = cells[line + down]?.[column + right];
    if ((!down && !right) || !next) return;
    event.preventDefault();
    next.focus();
  }

  /** What a cell says of itself is made when it is asked for: there may be thousands. */
  function label(cell, row, head) {
    const text = `${names.cell(layers[row], head)}: ${describe(row, head)}`;
    cell.setAttribute("aria-label", text);
    showTip(cell, text);
  }

  /** Beside the pointer at once, where a browser's own tip would wait. */
  function showTip(cell, text) {
    tip.textContent = text;
    tip.hidden = false;
    const isLeft = cell.offsetLeft < overlay.clientWidth / 2;
    tip.style.left = isLeft ? `${cell.offsetLeft}px` : "auto";
    const end = overlay.clientWidth - cell.offsetLeft - cell.offsetWidth;
    tip.style.right = isLeft ? "auto" : `${end}px`;
    tip.style.top = `${cell.offsetTop + cell.offsetHeight + 4}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  /** Give the cells more to say than their names, before they are pointed at. */
  function rename(say) {
    cells.forEach((line, place) => {
      line.forEach((cell, column) => {
        const [row, head] = order ? order[place * numHeads + column] : [place, column];
        const words = say(row, head);
        const name = names.cell(layers[row], head);
        cell.setAttribute("aria-label", words ? `${name}: ${words}` : name);
      });
    });
  }

  function cellOf(row, head) {
    if (!order) return cells[row][head];
    return all[order.findIndex(([r, h]) => r === row && h === head)];
  }

  /** Frame one cell. */
  function mark(row, head) {
    const cell = cellOf(row, head);
    marked?.removeAttribute("aria-current");
    marked = cell;
    cell.setAttribute("aria-current", "true");
    enterAt(cell);
  }

  /** Frame cells that stand out, apart from the one that is chosen. */
  function emphasize(pairs) {
    for (const [row, head] of pairs) cellOf(row, head).dataset.framed = "true";
  }

  enterAt(all[0]);
  const columnNames = Array.from({ length: numHeads }, (_, head) =>
    element("span", {}, names.column(head)),
  );
  const rowNames = layers.map((layer) => element("span", {}, `L${layer}`));
  const overlay = element("div", { class: "cells" }, all);
  // One listener for all of them: there may be thousands.
  const listen = (name, act) => {
    overlay.addEventListener(name, (event) => {
      const cell = event.target.closest(".cell");
      if (cell) act(cell, event);
    });
  };
  listen("click", (cell) => {
    const { row, head } = places.get(cell);
    choose(row, head);
  });
  listen("pointerover", show);
  listen("pointerout", hideTip);
  listen("focusout", hideTip);
  listen("focusin", (cell) => {
    enterAt(cell);
    show(cell);
  });
  listen("keydown", (cell, event) => walk(event, places.get(cell)));
  const root = element(
    "div",
    { class: order ? "head-grid sorted" : "head-grid", role: "group", "aria-label": "Heads" },
    [
      element("div", { class: "column-names", "aria-hidden": "true" }, columnNames),
      element("div", { class: "row-names", "aria-hidden": "true" }, rowNames),
      element("div", { class: "field" }, [picture, overlay, tip]),
    ],
  );
  onWidth(root, (width) => thinOut(columnNames, width));
  root.style.setProperty("--layers", String(layers.length));
  root.style.setProperty("--heads", String(numHeads));
  return { root, picture, mark, emphasize, rename };
}

/** Show every name if there is room, else every second, fifth, …: names never overlap. */
function thinOut(names, width) {
  const room = Math.max(1, Math.floor(width / NARROWEST_NAME));
  const step = [1, 2, 4, 8, 16, 32].find((every) => names.length / every <= room) ?? names.length;
  names.forEach((name, index) => {
    name.style.visibility = index % step === 0 ? "visible" : "hidden";
  });
}

/** A number of each head as a trace: rows of layers; null is left without a color. */
export function headTrace(z, [zmin, zmax], colorscale) {
  return {
    type: "heatmap",
    z,
    zmin,
    zmax,
    colorscale,
    showscale: false,
    xgap: 2,
    ygap: 2,
    hoverinfo: "skip",
  };
}

/** Draw such a trace under the buttons of a grid, whose cells have a height in pixels. */
export function drawHeads(grid, trace, cellHeight) {
  const { picture, root } = grid;
  root.style.setProperty("--cell-height", `${cellHeight}px`);
  const width = Math.floor(picture.parentElement.clientWidth);
  if (width === 0) return;
  const [numLayers, numHeads] = [trace.z.length, trace.z[0].length];
  draw(picture, () => [trace], {
    x: [-0.5, numHeads - 0.5],
    y: [numLayers - 0.5, -0.5],
    width,
    height: cellHeight * numLayers,
  });
}

/** The axes of such a trace in a whole figure. */
export function headAxes(layers, numHeads) {
  const heads = Array.from({ length: numHeads }, (_, head) => head);
  const rows = layers.map((_, row) => row);
  return {
    xaxis: namesAxis(
      heads,
      heads.map((head) => `H${head}`),
      { side: "top", range: [-0.5, numHeads - 0.5] },
    ),
    yaxis: namesAxis(
      rows,
      layers.map((layer) => `L${layer}`),
      { range: [layers.length - 0.5, -0.5] },
    ),
  };
}

/** What the colors of a grid mean, from one end to the other; both themes have the same stops. */
export function scaleLegend({ light, dark }, low, high) {
  const stops = light
    .map(([at, color], place) => `light-dark(${color}, ${dark[place][1]}) ${at * 100}%`)
    .join(", ");
  const bar = element("i", { class: "scale" });
  bar.style.background = `linear-gradient(to right, ${stops})`;
  return element("p", { class: "legend" }, [low, bar, high]);
}
