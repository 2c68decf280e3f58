// A matrix with its tokens, to be pointed at, dragged over and walked by keys.
import { between, isSame, lengthOf } from "./block.js";
import { ARROWS } from "./controls.js";
import { element } from "./dom.js";
import { gridTrace } from "./matrix-grid.js";
import { MatrixLabels, MOST_ROOM } from "./matrix-labels.js";
import { signMore } from "./more.js";
import { draw } from "./plot.js";

/**
 * A matrix with its tokens: a picture that can be pointed at, dragged over and walked by keys.
 * Positions count the rows and columns of the whole matrix.
 */
export class MatrixPanel {
  /**
   * @param {{query: object, key: object}} axes of each side `labels`, `special`, `unknown`,
   *   `tokens` (the index of each in its record, or null) and `notes` (words about each)
   * @param {{point: Function, select: Function, press: Function, step: Function}} acts
   *   point([query, key] or null), token(side, position or null), select(block),
   *   press(query, key), pressToken(side, position, event), step(down, right)
   * @param {number} most how much room the labels of a side take at most
   */
  constructor(axes, acts, most = MOST_ROOM) {
    Object.assign(this, { axes, acts, most });
    this.cursor = null;
    this.anchor = null;
    this.makeParts(axes);
    this.follow();
  }

  /** How much room the labels of each side need. */
  get rooms() {
    return { query: this.sides.query.room, key: this.sides.key.room };
  }

  makeParts(axes) {
    this.picture = element("div", { class: "matrix-picture" });
    this.bands = ["row", "column"].map((name) =>
      element("i", { class: `matrix-band ${name}`, hidden: "" }),
    );
    this.selection = element("i", { class: "matrix-selection", hidden: "" });
    this.field = element("div", { class: "matrix-field", tabindex: 0, role: "application" }, [
      this.picture,
      ...this.bands,
      this.selection,
    ]);
    this.sides = Object.fromEntries(
      ["query", "key"].map((side) => [
        side,
        new MatrixLabels(side, axes[side], this.sideActs(side), this.most),
      ]),
    );
    const corner = element("div", { class: "matrix-corner", "aria-hidden": "true" }, [
      element("span", {}, "key →"),
      element("span", {}, "query ↓"),
    ]);
    const parts = [corner, this.sides.key.root, this.sides.query.root, this.field];
    this.root = signMore(element("div", { class: "matrix" }, parts));
    this.root.style.setProperty("--label-width", `${this.sides.query.room}px`);
    this.root.style.setProperty("--label-height", `${this.sides.key.room}px`);
  }

  sideActs(side) {
    const { acts } = this;
    return {
      point: (position) => acts.token(side, position),
      press: (position, event) => acts.pressToken(side, position, event),
    };
  }

  /** Draw a block: its grid, its labels. */
  show({ block, cell, factor, grid, range, colorscale, label }) {
    Object.assign(this, { block, cell, factor });
    const size = (side) => Math.max(1, Math.round(lengthOf(block[side]) * cell));
    this.field.style.width = `${size("key")}px`;
    this.field.style.height = `${size("query")}px`;
    this.field.setAttribute("aria-label", label);
    this.sides.query.show(block.query, cell);
    this.sides.key.show(block.key, cell);
    this.point(null);
    draw(this.picture, () => [gridTrace(grid, { block, factor, range, colorscale })], {
      x: [block.key[0] - 0.5, block.key[1] + 0.5],
      y: [block.query[1] + 0.5, block.query[0] - 0.5],
      width: size("key"),
      height: size("query"),
    });
  }

  follow() {
    const { field, acts } = this;
    field.addEventListener("pointermove", (event) => this.onMove(event));
    field.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.anchor = this.cellAt(event);
      // A finger does not point before it presses, and its number stays when it is lifted.
      if (event.pointerType === "touch") acts.point(this.anchor);
      else field.setPointerCapture(event.pointerId);
    });
    field.addEventListener("pointerup", (event) => this.onUp(event));
    field.addEventListener("pointercancel", () => this.letGo());
    field.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") acts.point(null);
    });
    field.addEventListener("blur", () => acts.point(null));
    field.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** The row and column under the pointer; the nearest ones where it is outside. */
  cellAt({ clientX, clientY }) {
    const { left, top } = this.field.getBoundingClientRect();
    const place = (distance, [first, last]) =>
      Math.min(Math.max(first + Math.floor(distance / this.cell), first), last);
    return [place(clientY - top, this.block.query), place(clientX - left, this.block.key)];
  }

  onMove(event) {
    const cell = this.cellAt(event);
    this.acts.point(cell);
    if (!this.anchor) return;
    const block = between(this.anchor, cell);
    this.selection.hidden = isSame(this.anchor, cell);
    this.place(this.selection, block);
  }

  onUp(event) {
    const { anchor } = this;
    if (!anchor) return;
    const cell = this.cellAt(event);
    this.letGo();
    if (isSame(anchor, cell)) this.acts.press?.(...cell);
    else this.acts.select(between(anchor, cell));
  }

  letGo() {
    this.anchor = null;
    this.selection.hidden = true;
  }

  /** Arrows change head and layer; with Shift they walk from cell to cell. */
  onKey(event) {
    const [down, right] = ARROWS[event.key] ?? [];
    if (event.key === "Enter" && this.cursor) this.acts.press?.(...this.cursor);
    if (event.key === "Escape") this.letGo();
    if (down === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (event.shiftKey) this.moveCursor(down, right);
    else this.acts.step(down, right);
  }

  moveCursor(down, right) {
    const { query, key } = this.block;
    const next = this.cursor
      ? [this.cursor[0] + down * this.factor, this.cursor[1] + right * this.factor]
      : [query[0], key[0]];
    const inside = (value, [first, last]) => Math.min(Math.max(value, first), last);
    this.acts.point([inside(next[0], query), inside(next[1], key)]);
  }

  /** Show where a row and a column cross, either of them or none. */
  point(cell) {
    this.cursor = cell?.includes(null) ? null : cell;
    const [query, key] = cell ?? [null, null];
    this.showBand(this.bands[0], "query", query);
    this.showBand(this.bands[1], "key", key);
    this.sides.query.point(query);
    this.sides.key.point(key);
  }

  showBand(band, side, position) {
    const [first, last] = this.block[side];
    band.hidden = position === null || position < first || position > last;
    if (band.hidden) return;
    const start = position - ((position - first) % this.factor);
    const range = [start, Math.min(start + this.factor - 1, last)];
    this.place(band, { ...this.block, [side]: range });
  }

  place(target, { query, key }) {
    const { block, cell } = this;
    target.style.left = `${(key[0] - block.key[0]) * cell}px`;
    target.style.top = `${(query[0] - block.query[0]) * cell}px`;
    target.style.width = `${lengthOf(key) * cell}px`;
    target.style.height = `${lengthOf(query) * cell}px`;
  }

  /** Put a number of each token into its name; null for none. */
  tell(side, numberOf) {
    this.sides[side].tell(numberOf);
  }

  /** Mark tokens of one side as pressed: those whose positions are given. */
  press(side, positions) {
    this.sides[side].press(positions);
  }
}
