// The table of the layer view: a row for each token, a cell for each layer.
import { coloring, inkOn } from "./colors.js";
import { element, figure } from "./dom.js";
import { largestPlace } from "./layer-numbers.js";
import { roomFor } from "./matrix-labels.js";
import { themed } from "./theme.js";
import { tokenColumn, walkWithArrows } from "./tokens.js";

// Of a cell, in pixels: with less, its number is only in the sentence.
const WRITTEN = 36;
const WIDEST = 64;
const NARROWEST = 6;
// More numbers than this are too many to be written at once.
const MOST_WRITTEN = 20_000;
const NAME_ROOM = 26;
// The last name must not reach over the edge.
const LAST_ROOM = 9;
// Between a token and its cells.
const PADDING = 12;
const STEPS = [1, 2, 5, 10, 20, 50, 100];
// Numbers under this are there, but not to be read first.
const SMALL = 0.05;

/** Every how many layers one is named, so that names do not overlap. */
export function namedEvery(cell) {
  return STEPS.find((step) => step * cell >= NAME_ROOM) ?? STEPS.at(-1);
}

/** The rows and cells of a `LayerState`. */
export class LayerTable {
  /**
   * @param {{choose: Function, point: Function}} acts choose(token), point([token, row or null] or
   *   null)
   */
  constructor(state, acts) {
    Object.assign(this, { state, acts, record: state.record, lines: [], pointed: null });
    this.root = element("div", { class: "layer-table", role: "table" });
    this.mark = element("i", { class: "layer-mark", "aria-hidden": "true" });
    this.listen();
  }

  listen() {
    this.root.addEventListener("pointermove", (event) => {
      const strip = event.target.closest(".layer-cells");
      if (!strip) return;
      const { left, width } = strip.getBoundingClientRect();
      const row = Math.floor(((event.clientX - left) / width) * this.record.numLayers);
      if (row >= 0 && row < this.record.numLayers)
        this.acts.point([Number(strip.dataset.token), row]);
    });
    this.root.addEventListener("pointerleave", () => this.acts.point(null));
    this.root.addEventListener("focusout", () => this.acts.point(null));
  }

  /** Make all rows anew, for a width. */
  build(width) {
    const { record, state } = this;
    const { other, otherSide, style } = state;
    this.room = roomFor([...other.labels, "up to layer"]) + PADDING;
    this.measure(width);
    const { buttons } = tokenColumn(other, otherSide, style.rowHeight);
    const shown = state.shown.map((index) => buttons[index]);
    walkWithArrows(shown);
    this.lines = state.shown.map((index) => this.tokenLine(index, buttons[index]));
    const left = state.leftOut.length > 0 ? [this.leftOutLine()] : [];
    this.root.style.setProperty("--layer-cell", `${this.cell}px`);
    this.root.style.setProperty("--layers", String(record.numLayers));
    this.root.replaceChildren(this.headLine(), ...[...this.lines, ...left].map(({ root }) => root));
  }

  /** How wide a cell is, and whether its number has room. */
  measure(width) {
    const layers = this.record.numLayers;
    const fit = (width - this.room) / layers;
    this.cell = Math.max(NARROWEST, Math.min(WIDEST, fit > 12 ? Math.floor(fit) : fit));
    this.isWritten = this.cell >= WRITTEN && layers * this.state.shown.length <= MOST_WRITTEN;
    this.root.classList.toggle("written", this.isWritten);
  }

  headLine() {
    const { record, cell } = this;
    const layers = record.numLayers;
    const every = namedEvery(cell);
    this.corner = element("span", { class: "layer-corner", role: "columnheader" });
    const names = record.layers.map((layer, row) => {
      const isSeen = row % every === 0 && (layers - row - 0.5) * cell > LAST_ROOM;
      // Those without room are still there for readers of the screen.
      const name = element("span", { class: isSeen ? null : "unseen" }, String(layer));
      return element("span", { role: "columnheader", "aria-label": `layer ${layer}` }, name);
    });
    return element("div", { class: "layer-line layer-head", role: "row" }, [
      this.corner,
      element("div", { class: "layer-names" }, names),
    ]);
  }

  tokenLine(index, button) {
    button.classList.add("layer-name");
    button.addEventListener("click", () => this.acts.choose(index));
    button.addEventListener("focus", () => {
      if (button.matches(":focus-visible")) this.acts.point([index, null]);
    });
    button.addEventListener("pointerenter", () => this.acts.point([index, null]));
    button.addEventListener("keydown", (event) => this.onRowKey(event, index));
    const head = element("div", { class: "layer-token", role: "rowheader" }, button);
    return this.line(head, index);
  }

  line(head, index) {
    const strip = element("div", { class: "layer-cells", "data-token": index });
    const cells = this.isWritten
      ? this.record.layers.map(() => element("span", { role: "cell" }))
      : [];
    if (!this.isWritten) strip.setAttribute("role", "cell");
    strip.append(...cells);
    const root = element("div", { class: "layer-line", role: "row" }, [head, strip]);
    return { root, strip, cells, index, texts: [], inks: [] };
  }

  leftOutLine() {
    const head = element("div", { class: "layer-token", role: "rowheader" }, "left out");
    const line = this.line(head, null);
    line.root.classList.add("layer-rest");
    this.rest = line;
    return line;
  }

  onRowKey(event, index) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const last = this.record.numLayers - 1;
    const at = this.pointed?.[1] ?? (step > 0 ? -1 : last + 1);
    this.acts.point([index, Math.min(Math.max(at + step, 0), last)]);
  }

  /** Show the weights of each layer by token; `bests` is the place of the largest of each. */
  show(values, bests, largest) {
    const { state } = this;
    Object.assign(this, { bests, largest });
    const scale = coloring(themed(state.style.scale));
    const color = (value) => scale(value / largest);
    for (const line of this.lines) {
      const own = values.map((layer) => layer[line.index]);
      this.fill(line, own, color);
    }
    this.markRows();
  }

  /** Show what the tokens that are left out have together. */
  showRest(values) {
    this.fill(this.rest, values, null);
  }

  fill({ strip, cells, index, texts, inks }, values, color) {
    const shown = color ? stripBackground(values, color) : "none";
    strip.style.backgroundImage = color ? `${shown}, var(--layer-missing)` : shown;
    if (cells.length === 0) strip.setAttribute("aria-label", this.said(values));
    cells.forEach((cell, row) => {
      const value = values[row];
      const isMissing = Number.isNaN(value);
      // As it is written, so that equal figures look equal.
      const written = Math.round((100 * value) / this.largest) / 100;
      const isQuiet = !color || isMissing || written < SMALL;
      const text = isMissing ? "–" : figure(value);
      // Most of a table stays what it is, and is not laid out anew.
      if (texts[row] !== text) {
        texts[row] = cell.textContent = text;
        if (isMissing) cell.setAttribute("aria-label", "missing");
        else cell.removeAttribute("aria-label");
      }
      const ink = isQuiet ? "" : inkOn(color(value));
      if (inks[row] !== ink) inks[row] = cell.style.color = ink;
      cell.classList.toggle("strong", index !== null && this.bests[row] === index);
    });
  }

  /** A row in words, where its numbers are not written. */
  said(values) {
    const best = largestPlace(
      values,
      values.map((_, row) => row),
    );
    if (best === -1) return "missing in every layer";
    return `most in layer ${this.record.layers[best]}: ${figure(values[best])}`;
  }

  markRows() {
    const { state } = this;
    for (const { root, index } of this.lines) {
      const isOwn = state.style.isSelf && index === state.token;
      root.classList.toggle("own", isOwn);
      root.querySelector(".token").setAttribute("aria-pressed", String(isOwn));
    }
  }

  /** Frame a cell, of a token and a layer's row; or none. */
  point(place) {
    this.pointed = place;
    const line = place && this.lines.find(({ index }) => index === place[0]);
    if (!line || place[1] === null) this.mark.remove();
    else {
      this.mark.style.left = `${(place[1] * 100) / this.record.numLayers}%`;
      line.strip.append(this.mark);
    }
  }
}

/** A strip of cells as a background; missing ones let through what lies below. */
function stripBackground(values, color) {
  const share = 100 / values.length;
  const parts = values.map((value, place) => {
    const filled = Number.isNaN(value) ? "transparent" : `rgb(${color(value).join(" ")})`;
    return `${filled} ${place * share}% ${(place + 1) * share}%`;
  });
  return `linear-gradient(to right, ${parts.join(", ")})`;
}
