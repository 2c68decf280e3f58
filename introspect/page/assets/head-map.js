// A map of heads: a cell for each, colored by a number, framed where it stands out.
import { element, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { paperLayout } from "./figures.js";
import { drawHeads, headAxes, headFrames, headGrid, scaleLegend } from "./head-grid.js";
import { namedHead, readLink, writeLink } from "./link.js";
import { onWidth } from "./plot.js";
import { onTheme } from "./theme.js";

const CELL_HEIGHT = 30;
const SIGNIFICANT = 0.05;

/**
 * Build a map in its section.
 * @param {Element} section
 * @param {{layers: number[], numHeads: number, scale: object, first: {layer: number, head: number}}}
 *   style the grid, its colors and the head that is shown first
 * @param {{name: string, values: () => object, trace: (values: object) => object,
 *   describe: (values: object, row: number, head: number) => string, ends: string[],
 *   title: () => string, colorbar: () => object, controls?: Element[]}} map what the file is
 *   called, the numbers as layers × heads by name, what is drawn of them and said of a cell, what
 *   the ends of the scale mean, and the figure's title and scale
 * @returns {{rebuild: () => void}} to be called when the numbers are others
 */
export function mountHeadMap(section, style, map) {
  const { layers, numHeads } = style;
  const first = [Math.max(0, layers.indexOf(style.first.layer)), style.first.head];
  let chosen = namedHead(readLink(section.id).head, layers, numHeads) ?? first;
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const holder = element("div", { class: "score-map" });
  const exports = exportButtons(map.name, () => figure(style, map));
  section.append(
    element("div", { class: "controls" }, [...(map.controls ?? []), exports]),
    reading,
    holder,
    scaleLegend(style.scale, ...map.ends),
  );
  let grid = null;

  function rebuild() {
    const describe = (row, head) => map.describe(map.values(), row, head);
    grid = headGrid(layers, numHeads, describe, { choose, point: say });
    grid.emphasize(significant(map.values()));
    holder.replaceChildren(grid.root);
    onWidth(grid.picture.parentElement, paint);
    choose(...chosen);
  }

  function choose(row, head) {
    chosen = [row, head];
    grid.mark(row, head);
    say(row, head);
    const isFirst = row === first[0] && head === first[1];
    writeLink(section.id, { head: isFirst ? null : headName(layers[row], head) });
  }

  function say(row, head) {
    const words = map.describe(map.values(), row, head);
    reading.textContent = `${headName(layers[row], head)}: ${words}.`;
  }

  function paint() {
    drawHeads(grid, map.trace(map.values()), CELL_HEIGHT);
  }
  onTheme(paint);
  rebuild();
  return { rebuild };
}

/** An adjusted p in words. */
export function adjustedP(value) {
  return value < 0.001 ? "below 0.001" : value.toFixed(3);
}

function significant({ p_adjusted: adjusted }) {
  return adjusted.flatMap((line, row) =>
    line.flatMap((p, head) => (p !== null && p < SIGNIFICANT ? [[row, head]] : [])),
  );
}

function figure(style, map) {
  return {
    data: [{ ...map.trace(map.values()), showscale: true, colorbar: map.colorbar() }],
    layout: paperLayout(map.title(), {
      width: 170 + 50 * style.numHeads,
      height: 110 + 34 * style.layers.length,
      margin: { l: 60, r: 110, t: 80, b: 20 },
      ...headAxes(style.layers, style.numHeads),
      shapes: headFrames(significant(map.values())),
    }),
  };
}
