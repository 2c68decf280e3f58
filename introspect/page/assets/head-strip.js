// The strip of all heads: layers × heads as small squares, colored by one number of each.
import { ARROWS } from "./controls.js";
import { element, headName } from "./dom.js";
import { whole } from "./numbers.js";

const LARGEST = 14;
const SMALLEST = 4;
const ROOM = 450;
const NAMED_EVERY = [1, 2, 4, 8, 16, 32];

/**
 * The squares; Tab enters them once, arrows walk, Enter or a click chooses.
 * @param {{layers: number[], numHeads: number}} record
 * @param {{choose: Function, point: Function}} acts called with row and head; `point` with null
 *   when none is pointed at any longer
 */
export function headStrip({ layers, numHeads }, acts) {
  const size = Math.max(
    SMALLEST,
    Math.min(LARGEST, Math.floor(ROOM / Math.max(layers.length, numHeads))),
  );
  const cells = layers.map((layer, row) =>
    Array.from({ length: numHeads }, (_, head) =>
      element("button", {
        type: "button",
        role: "gridcell",
        tabindex: -1,
        class: "strip-cell",
        "data-layer": layer,
        "data-head": head,
        "data-row": row,
        "aria-selected": "false",
      }),
    ),
  );
  const every = NAMED_EVERY.find((step) => size * step >= 14) ?? 32;
  const lines = cells.map((line, row) => {
    const name = element("span", { class: "strip-name", role: "rowheader" }, `L${layers[row]}`);
    if (row % every !== 0) name.style.visibility = "hidden";
    return element("div", { role: "row", class: "strip-row" }, [name, ...line]);
  });
  const grid = element(
    "div",
    { role: "grid", "data-element": "strip", class: "head-strip", "aria-label": "All heads" },
    [...lines, columnNames(numHeads, size)],
  );
  grid.style.setProperty("--cell", `${size}px`);
  grid.style.setProperty("--heads", String(numHeads));
  const together = element("p", { class: "strip-together", hidden: "" }, "all heads together");
  grid.append(together);
  let isByLayer = false;
  let entered = null;

  const placeOf = (cell) => [Number(cell.dataset.row), Number(cell.dataset.head)];
  const cellAt = (event) => event.target.closest(".strip-cell");

  function enterAt(cell) {
    if (entered) entered.tabIndex = -1;
    entered = cell;
    cell.tabIndex = 0;
  }

  /** Mark the chosen head. */
  function mark(row, head) {
    grid.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
    const cell = cells[row][isByLayer ? 0 : head];
    cell.setAttribute("aria-selected", "true");
    enterAt(cell);
  }

  /** Show one square for each layer, where what is shown takes all heads together. */
  function layByLayer(is) {
    isByLayer = is;
    grid.toggleAttribute("data-whole", is);
    together.hidden = !is;
    grid.setAttribute("aria-label", is ? "All layers, heads together" : "All heads");
  }

  /**
   * Color each head.
   * @param {(row: number, head: number) => number} strength from −1 to 1, NaN for none
   * @param {(row: number, head: number) => string} say its number in words
   */
  function color(strength, say) {
    cells.forEach((line, row) => {
      const shown = isByLayer ? line.slice(0, 1) : line;
      shown.forEach((cell, head) => {
        const value = strength(row, head);
        const size = Math.round(100 * Math.sqrt(Math.min(Math.abs(value || 0), 1)));
        cell.style.setProperty("--strength", `${size}%`);
        cell.dataset.sign = Number.isNaN(value) ? "none" : value < 0 ? "below" : "above";
        const own = isByLayer ? `L${layers[row]}, all heads` : headName(layers[row], head);
        const name = `${own}: ${say(row, head)}`;
        cell.setAttribute("aria-label", name);
        cell.title = name;
      });
    });
  }

  grid.addEventListener("click", (event) => {
    const cell = cellAt(event);
    if (cell) acts.choose(...placeOf(cell));
  });
  grid.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const cell = cellAt(event);
    acts.point(...(cell ? placeOf(cell) : [null]));
  });
  grid.addEventListener("pointerleave", () => acts.point(null));
  grid.addEventListener("keydown", (event) => {
    const cell = cellAt(event);
    const [down, right] = ARROWS[event.key] ?? [0, 0];
    if (!cell || (!down && !right) || (isByLayer && right)) return;
    event.preventDefault();
    event.stopPropagation();
    const [row, head] = placeOf(cell);
    const next = cells[row + down]?.[head + right];
    if (!next) return;
    next.focus();
    acts.choose(...placeOf(next));
  });
  return { root: grid, mark, color, layByLayer };
}

function columnNames(numHeads, size) {
  const every = NAMED_EVERY.find((step) => size * step >= 26) ?? 64;
  const names = Array.from({ length: numHeads }, (_, head) =>
    element("span", {}, head % every === 0 ? `H${whole(head)}` : ""),
  );
  return element("div", { class: "strip-columns", "aria-hidden": "true" }, names);
}
