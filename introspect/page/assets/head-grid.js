// Layers × heads: labels, a place for a picture, and over it a button for each head.
import { element, headName } from "./dom.js";
import { onWidth } from "./plot.js";

const NARROWEST_NAME = 30;

/**
 * A grid of heads. Tab enters it once; arrows walk, Enter or a click chooses.
 * @param {number[]} layers the model's own numbers, a row each
 * @param {number} numHeads the columns
 * @param {(row: number, head: number) => string} describe what a cell says of itself
 * @param {{choose: Function, point?: Function}} acts called with row and head
 */
export function headGrid(layers, numHeads, describe, { choose, point }) {
  const picture = element("div", { class: "picture" });
  const cells = layers.map((layer, row) =>
    Array.from({ length: numHeads }, (_, head) => {
      const cell = element("button", {
        type: "button",
        class: "cell",
        "data-layer": layer,
        "data-head": head,
        "aria-label": headName(layer, head),
      });
      cell.addEventListener("click", () => choose(row, head));
      const show = () => {
        label(row, head);
        point?.(row, head);
      };
      cell.addEventListener("pointerenter", show);
      cell.addEventListener("focus", () => {
        enterAt(cell);
        show();
      });
      cell.addEventListener("keydown", (event) => walk(event, row, head));
      return cell;
    }),
  );
  const all = cells.flat();

  function enterAt(cell) {
    for (const other of all) other.tabIndex = other === cell ? 0 : -1;
  }

  function walk(event, row, head) {
    const [down, right] = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    }[event.key] ?? [0, 0];
    const next = cells[row + down]?.[head + right];
    if ((!down && !right) || !next) return;
    event.preventDefault();
    next.focus();
  }

  /** What a cell says of itself is made when it is asked for: there may be thousands. */
  function label(row, head) {
    const text = `${headName(layers[row], head)}: ${describe(row, head)}`;
    cells[row][head].setAttribute("aria-label", text);
    cells[row][head].title = text;
  }

  /** Frame one cell. */
  function mark(row, head) {
    for (const cell of all) cell.removeAttribute("aria-current");
    cells[row][head].setAttribute("aria-current", "true");
    enterAt(cells[row][head]);
  }

  enterAt(all[0]);
  const columnNames = Array.from({ length: numHeads }, (_, head) =>
    element("span", {}, `H${head}`),
  );
  const rowNames = layers.map((layer) => element("span", {}, `L${layer}`));
  const overlay = element("div", { class: "cells" }, all);
  const root = element(
    "div",
    { class: "head-grid", role: "group", "aria-label": "Layers by heads" },
    [
      element("div", { class: "column-names", "aria-hidden": "true" }, columnNames),
      element("div", { class: "row-names", "aria-hidden": "true" }, rowNames),
      element("div", { class: "field" }, [picture, overlay]),
    ],
  );
  onWidth(root, (width) => thinOut(columnNames, width));
  root.style.setProperty("--layers", String(layers.length));
  root.style.setProperty("--heads", String(numHeads));
  return { root, picture, mark };
}

/** Show every name if there is room, else every second, fifth, …: names never overlap. */
function thinOut(names, width) {
  const room = Math.max(1, Math.floor(width / NARROWEST_NAME));
  const step = [1, 2, 4, 8, 16, 32].find((every) => names.length / every <= room) ?? names.length;
  names.forEach((name, index) => {
    name.style.visibility = index % step === 0 ? "visible" : "hidden";
  });
}

/** What the colours of a grid mean, from one end to the other. */
export function scaleLegend(scale, low, high) {
  const stops = scale.map(([at, colour]) => `${colour} ${at * 100}%`).join(", ");
  const bar = element("i", { class: "scale" });
  bar.style.background = `linear-gradient(to right, ${stops})`;
  return element("p", { class: "legend" }, [low, bar, high]);
}
