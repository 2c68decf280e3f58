// The heatmap view: one head's pattern as a matrix, with its tokens on two sides.
import { fitting, oneOf, rowOfLayer, within } from "./address.js";
import { blockFrom, blockToLink, isSame, lengthOf } from "./block.js";
import { SCALES, scaleChoice, slider } from "./controls.js";
import { announce, element, figure, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { colorBar, paperLayout } from "./figures.js";
import { scaleLegend } from "./head-grid.js";
import { headChoice, headFrom, layerChoice, nextHead, rowOf } from "./heads.js";
import { HeatmapWords } from "./heatmap-words.js";
import { readLink, writeLink } from "./link.js";
import { MatrixPanel } from "./matrix.js";
import { figureSide, matrixFigure } from "./matrix-figure.js";
import {
  cellSize,
  gridOf,
  hasMissing,
  largestCell,
  largestOf,
  poolingWords,
} from "./matrix-grid.js";
import { whole } from "./numbers.js";
import { onWidth } from "./plot.js";
import { selectionOf } from "./selection.js";
import { onTheme, themed } from "./theme.js";
import {
  fittingWeights,
  isUnbounded,
  isWhole,
  loadMethods,
  numberWords,
  patternBy,
  weighingChoice,
  weightsWords,
} from "./weighings.js";

const LARGEST_ZOOM = 8;

/** Build the view in its section. */
export async function mountHeatmapView(section, style, record) {
  await loadMethods(record);
  new HeatmapView(section, style, record).build();
}

/** One side of a matrix as the panel needs it. */
function axisOf(sequence) {
  return { ...sequence, tokens: sequence.labels.map((_, index) => index) };
}

/** L3H1, or of all heads their layer. */
function headOf(layer, head) {
  return typeof head === "number" ? headName(layer, head) : `L${layer} ${head}`;
}

class HeatmapView {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record });
    this.whole = { query: [0, record.queryLen - 1], key: [0, record.keyLen - 1] };
    const row = record.layers.indexOf(style.layer);
    this.first = { row, head: style.head, weights: style.weights, zoom: 1, scale: style.scaleTo };
    this.state = { ...this.first, block: null };
    this.fromLink(readLink(section.id));
    const { head } = this.state;
    const isOne = typeof head === "number";
    this.selection = selectionOf(record, { row: this.state.row, head: isOne ? head : 0 });
    this.take = (changed) => this.follow(changed);
    this.words = new HeatmapWords(this);
    this.anchors = { query: null, key: null };
    this.pointed = [null, null];
    this.width = 0;
  }

  get block() {
    return this.state.block ?? this.whole;
  }

  /** What the numbers are taken from. */
  get pattern() {
    const { weights } = this.state;
    if (this.known?.weights !== weights) {
      this.known = { weights, pattern: patternBy(this.record, weights) };
    }
    return this.known.pattern;
  }

  /** What the colors reach to. */
  get most() {
    const { state, record } = this;
    const isOne = state.scale === "one" && !isUnbounded(record, state.weights);
    return isOne ? 1 : this.largest || 1;
  }

  build() {
    const { record, section } = this;
    this.reading = element("p", { class: "reading" });
    this.legend = element("div", { class: "matrix-legend" });
    this.panel = new MatrixPanel(
      { query: axisOf(record.queries), key: axisOf(record.keys) },
      {
        point: (cell) => this.point(cell ?? [null, null]),
        token: (side, position) =>
          this.point(side === "query" ? [position, null] : [null, position]),
        select: (block) => this.select(block),
        pressToken: (side, position, event) => this.pressToken(side, position, event),
        step: (down, right) => this.step(down, right),
      },
    );
    section.append(
      element("div", { class: "controls" }, this.controls()),
      this.reading,
      this.panel.root,
      this.legend,
    );
    section.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.select(null);
    });
    onWidth(section, (width) => {
      this.width = width;
      this.update();
    });
    onTheme(() => this.update());
    this.update();
    this.selection.follow(this.take);
  }

  /** What was chosen elsewhere on the page. */
  follow(changed) {
    const { state, record } = this;
    const isHere = ["row", "head", "weights"].some((name) => name in changed);
    if (!isHere) {
      this.tellNumbers();
      return;
    }
    const { row = state.row, head = state.head, weights = state.weights } = changed;
    Object.assign(state, { row, head, weights: fittingWeights(record, weights) });
    this.showControls();
    this.update();
  }

  showControls() {
    const { state } = this;
    this.layer.show(String(state.row));
    this.head.show(String(state.head));
    if (this.weights) this.weights.querySelector("select").value = state.weights;
  }

  /** What is chosen here is chosen for the page. */
  tell() {
    const { row, head, weights } = this.state;
    const one = typeof head === "number" ? { head } : {};
    this.selection.set({ row, weights, ...one }, this.take);
  }

  controls() {
    const { record, state } = this;
    const set = (name) => (value) => {
      state[name] = value;
      this.update();
      this.tell();
    };
    this.layer = layerChoice(record, {
      name: "layer",
      label: "Layer",
      value: state.row,
      change: set("row"),
    });
    this.head = headChoice(record, {
      name: "head",
      label: "Head",
      value: state.head,
      change: set("head"),
    });
    const zoom = slider({
      name: "zoom",
      label: "Zoom",
      min: 1,
      max: LARGEST_ZOOM,
      step: 0.5,
      value: state.zoom,
      say: (value) => `${value}×`,
      change: set("zoom"),
    });
    const scale = scaleChoice(state.scale, set("scale"));
    this.selects = { head: this.head.root, scale: scale.root };
    this.weights = weighingChoice(record, state.weights, set("weights"));
    this.wholeButton = element(
      "button",
      { type: "button", class: "plain", name: "whole" },
      "Whole",
    );
    this.wholeButton.addEventListener("click", () => this.select(null));
    const save = exportButtons(
      "heatmap-view",
      () => this.figure(),
      () => ({
        head: headOf(record.layers[state.row], state.head),
        weights: weightsWords(record, state.weights),
      }),
    );
    const own = [this.layer.root, this.head.root, this.weights, zoom.root, scale.root];
    return [...own, this.wholeButton, save].filter(Boolean);
  }

  select(block) {
    this.state.block = block;
    this.anchors = { query: null, key: null };
    this.update();
    const { query, key } = this.block;
    announce(`Showing ${whole(lengthOf(query))} × ${whole(lengthOf(key))} tokens.`);
  }

  /** A click begins a range; with Shift it ends it, and only the range is seen. */
  pressToken(side, position, event) {
    const anchor = this.anchors[side];
    if (!event.shiftKey || anchor === null) {
      this.anchors[side] = anchor === position ? null : position;
      this.panel.press(side, [this.anchors[side]]);
      this.say();
      return;
    }
    const range = [Math.min(anchor, position), Math.max(anchor, position)];
    this.select({ ...this.block, [side]: range });
  }

  step(down, right) {
    const { record, state } = this;
    const cursor = this.panel.cursor;
    state.row = Math.min(Math.max(state.row + down, 0), record.numLayers - 1);
    if (right && !isWhole(record, state.weights)) state.head = nextHead(record, state.head, right);
    this.showControls();
    this.update();
    this.tell();
    if (cursor) this.point(cursor);
    announce(this.reading.textContent);
  }

  update() {
    const { state, whole } = this;
    if (
      state.block &&
      isSame(state.block.query, whole.query) &&
      isSame(state.block.key, whole.key)
    ) {
      state.block = null;
    }
    this.wholeButton.disabled = state.block === null;
    // What has no head, and what has no bound, leaves nothing to choose.
    const disable = (name, is) => {
      this.selects[name].querySelector("select").disabled = is;
    };
    disable("head", isWhole(this.record, state.weights));
    disable("scale", isUnbounded(this.record, state.weights));
    this.toLink();
    this.pointed = [null, null];
    this.say();
    if (this.width > 0) this.draw();
  }

  draw() {
    const { pattern, state, style, panel, block } = this;
    const available = this.width - panel.rooms.query - 2;
    const largest = largestCell(available, this.whole, block);
    const size = cellSize(available, block, state.zoom, largest);
    const values = (query) => rowOf(pattern, state.row, state.head, query);
    this.grid = gridOf(block, size.factor, values);
    this.largest = largestOf(this.grid);
    const range = [0, this.most];
    const label = `Attention, ${this.words.head()}. Arrow keys change layer and head, with Shift they go from cell to cell, Escape shows the whole.`;
    panel.show({ block, ...size, grid: this.grid, range, colorscale: themed(style.scale), label });
    this.showLegend(range[1], size.factor);
    this.told = null;
    this.tellNumbers();
  }

  /** The tokens' names say what the token that is pointed at or chosen gives each, or gets. */
  tellNumbers() {
    const [row, column] = this.pointed;
    const isColumn = row === null && (column ?? this.anchors.key) !== null;
    const own = isColumn
      ? (column ?? this.anchors.key)
      : (row ?? this.anchors.query ?? this.selection.query);
    const name = `${isColumn} ${own}`;
    if (name === this.told || !this.grid) return;
    this.told = name;
    const weight = (other) =>
      isColumn ? this.words.weight(other, own) : this.words.weight(own, other);
    const say = (side) => (own === null || isColumn === (side === "key") ? null : weight);
    for (const side of ["query", "key"]) this.panel.tell(side, say(side));
  }

  showLegend(most, factor) {
    const { style, state, record } = this;
    const isOne = state.scale === "one" && !isUnbounded(record, state.weights);
    const end = isOne ? "1" : `${figure(this.largest)}, the largest weight shown`;
    const missing = hasMissing(this.grid) ? "Hatched: missing." : "";
    this.legend.replaceChildren(
      scaleLegend(style.scale, "weight 0", most === 1 && !isOne ? "1" : end),
      element(
        "p",
        { class: "matrix-note" },
        [poolingWords(factor), missing, numberWords(record, state.weights), this.signWords()]
          .filter(Boolean)
          .join(" "),
      ),
    );
  }

  signWords() {
    const isSigned = this.grid.some((line) => line.some((value) => value < 0));
    return isSigned ? "What counts against has no color." : "";
  }

  point(cell) {
    this.pointed = cell;
    this.panel.point(cell);
    this.say();
  }

  say() {
    this.reading.textContent = this.words.sentence(this.pointed, this.anchors);
    this.tellNumbers();
  }

  toLink() {
    const { state, first, record } = this;
    const changed = (name, value) => (state[name] === first[name] ? null : value);
    writeLink(this.section.id, {
      // One head is the page's choice; several together are this view's own.
      layer: typeof state.head === "number" ? null : changed("row", record.layers[state.row]),
      head: typeof state.head === "number" ? null : changed("head", state.head),
      zoom: changed("zoom", state.zoom),
      scale: changed("scale", state.scale),
      ...blockToLink(state.block, this.whole),
    });
  }

  fromLink(link) {
    const { record } = this;
    const { layer, ...choices } = fitting(link, {
      layer: rowOfLayer(record.layers),
      head: headFrom(record),
      zoom: within(1, LARGEST_ZOOM),
      scale: oneOf(SCALES.map(([name]) => name)),
    });
    Object.assign(this.state, choices);
    this.state.row = layer ?? this.state.row;
    this.state.block = blockFrom(link, this.whole);
  }

  /** What is seen as a whole figure. */
  figure() {
    const { style, block, panel } = this;
    const range = [0, this.most];
    const { trace, axes } = matrixFigure(panel, this.grid, {
      range,
      colorscale: themed(style.scale),
      colorbar: colorBar("weight"),
    });
    const layout = paperLayout(this.words.head(), {
      width: figureSide(block.key) + panel.rooms.query + 170,
      height: figureSide(block.query) + panel.rooms.key + 100,
      margin: { l: panel.rooms.query + 40, r: 130, t: panel.rooms.key + 80, b: 20 },
      ...axes,
    });
    return { data: [trace], layout };
  }
}
