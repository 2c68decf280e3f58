// The heatmap view: one head's pattern as a matrix, with its tokens on two sides.
import { choice, slider } from "./controls.js";
import { announce, element, figure, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { scaleLegend } from "./head-grid.js";
import { readLink, writeLink } from "./link.js";
import { draw, onWidth } from "./plot.js";
import { colourOf, onTheme, themed } from "./theme.js";

const LARGEST_CELL = 30;
const LARGEST_ZOOMED = 60;
// Smaller cells cannot be told apart: several are drawn as one.
const SMALLEST_CELL = 2;
const FIT_HEIGHT = 900;
const LARGEST_SIDE = 4000;
const LARGEST_ZOOM = 8;
const LABEL_HEIGHT = 14;
const LEAST_ROOM = 44;
const MOST_ROOM = 130;
const NAMED = 3;
const COMBINED = [
  ["mean", "mean of all"],
  ["max", "largest of all"],
];
export const SCALES = [
  ["one", "0 to 1"],
  ["largest", "0 to the largest shown"],
];
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** Build the view in its section. */
export function mountHeatmapView(section, style, record) {
  new HeatmapView(section, style, record).build();
}

// What is shown

/** One weight of a head, or of the mean or the largest of a layer's heads. */
export function weightOf(record, row, head, query, key) {
  if (typeof head === "number") return record.weight(row, head, query, key);
  let value = 0;
  for (let one = 0; one < record.numHeads; one += 1) {
    const weight = record.weight(row, one, query, key);
    value = head === "max" ? Math.max(value, weight) : value + weight / record.numHeads;
  }
  return value;
}

/** What a query gives to each key, as `weightOf`; faster where the page holds few weights. */
export function rowOf(record, row, head, query) {
  const values = new Float64Array(record.keyLen);
  const heads =
    typeof head === "number" ? [head] : Array.from({ length: record.numHeads }, (_, one) => one);
  for (const one of heads) {
    record.forEachWeight(row, one, query, (key, weight) => {
      values[key] =
        head === "max" ? Math.max(values[key], weight) : values[key] + weight / heads.length;
    });
  }
  return values;
}

/** A layer and head in words. */
export function headWords(record, row, head) {
  const layer = record.layers[row];
  if (typeof head === "number") return headName(layer, head);
  return `${head === "mean" ? "mean" : "largest"} of ${record.numHeads} heads of layer ${layer}`;
}

/** "mean", "max" or the number of a head that the record has; null for anything else. */
export function headFrom(text, record) {
  if (text === "mean" || text === "max") return text;
  return /^\d+$/.test(text ?? "") && Number(text) < record.numHeads ? Number(text) : null;
}

/** The head next to one, in either direction; from all heads the first or the last. */
export function nextHead(record, head, step) {
  const next = typeof head === "number" ? head + step : step > 0 ? 0 : record.numHeads - 1;
  return Math.min(Math.max(next, 0), record.numHeads - 1);
}

/** The choice of a head of a record. */
export function headChoice(record, { name, label, value, change }) {
  const heads = Array.from({ length: record.numHeads }, (_, head) => [String(head), String(head)]);
  return choice({
    name,
    label,
    options: [...COMBINED, ...heads],
    value: String(value),
    change: (text) => change(headFrom(text, record)),
  });
}

/** The choice of a layer of a record, by row. */
export function layerChoice(record, { name, label, value, change }) {
  return choice({
    name,
    label,
    options: record.layers.map((layer, row) => [String(row), String(layer)]),
    value: String(value),
    change: (text) => change(Number(text)),
  });
}

/** One side of a matrix as the panel needs it. */
function axisOf(sequence) {
  return { ...sequence, tokens: sequence.labels.map((_, index) => index) };
}

/** A block, first and last of each side, from words of the address; null if they do not fit. */
export function blockFrom({ rows, columns }, whole) {
  const query = rangeFrom(rows, whole.query);
  const key = rangeFrom(columns, whole.key);
  return query || key ? { query: query ?? whole.query, key: key ?? whole.key } : null;
}

function rangeFrom(text, [, last]) {
  const found = text?.match(/^(\d+)-(\d+)$/)?.map(Number);
  return found && found[1] <= found[2] && found[2] <= last ? [found[1], found[2]] : null;
}

/** The block as words of the address; what is whole needs none. */
export function blockToLink(block, whole) {
  const text = (side) =>
    !block || isSame(block[side], whole[side]) ? null : `${block[side][0]}-${block[side][1]}`;
  return { rows: text("query"), columns: text("key") };
}

function isSame([a, b], [c, d]) {
  return a === c && b === d;
}

/** "rows 3–7 of 17", for each side of which a part is seen. */
export function blockWords(block, whole) {
  const words = [
    ["query", "rows"],
    ["key", "columns"],
  ].filter(([side]) => !isSame(block[side], whole[side]));
  return words
    .map(([side, name]) => `${name} ${block[side].join("–")} of ${lengthOf(whole[side])}`)
    .join(", ");
}

function lengthOf([first, last]) {
  return last - first + 1;
}

// How large

/** The size of a cell, and how many weights a side it stands for. */
export function cellSize(available, block, zoom) {
  const rows = lengthOf(block.query);
  const columns = lengthOf(block.key);
  const fit = Math.min(LARGEST_CELL, available / columns, FIT_HEIGHT / rows);
  const most = Math.min(LARGEST_ZOOMED, LARGEST_SIDE / Math.max(rows, columns));
  const size = zoom === 1 ? fit : Math.max(Math.min(fit * zoom, most), Math.min(fit, most));
  // Whole pixels are sharper, where it does not matter much.
  const cell = size > 8 ? Math.floor(size) : size;
  return { cell, factor: cell < SMALLEST_CELL ? Math.ceil(SMALLEST_CELL / cell) : 1 };
}

/**
 * The values of a block, of every factor × factor ones the largest; NaN where all are missing.
 * @param {(query: number) => ArrayLike<number>} rowValues by key
 * @param {(a: number, b: number) => boolean} isMore whether a is shown rather than b
 */
export function gridOf(block, factor, rowValues, isMore = (a, b) => a > b) {
  const columns = Math.ceil(lengthOf(block.key) / factor);
  const grid = [];
  for (let query = block.query[0]; query <= block.query[1]; query += 1) {
    const line = Math.floor((query - block.query[0]) / factor);
    grid[line] ??= new Float64Array(columns).fill(Number.NaN);
    const values = rowValues(query);
    for (let key = block.key[0]; key <= block.key[1]; key += 1) {
      const place = Math.floor((key - block.key[0]) / factor);
      const isBetter = Number.isNaN(grid[line][place]) || isMore(values[key], grid[line][place]);
      if (!Number.isNaN(values[key]) && isBetter) grid[line][place] = values[key];
    }
  }
  return grid;
}

/** The largest absolute value of a grid; 0 where all are missing. */
export function largestOf(grid) {
  let largest = 0;
  for (const line of grid) {
    for (const value of line) if (Math.abs(value) > largest) largest = Math.abs(value);
  }
  return largest;
}

/** Whether a grid has missing values. */
export function hasMissing(grid) {
  return grid.some((line) => line.some(Number.isNaN));
}

/** A grid as a Plotly trace over its block. */
export function gridTrace(grid, { block, factor, range, colorscale }) {
  return {
    type: "heatmap",
    z: grid.map((line) => Array.from(line, (value) => (Number.isNaN(value) ? null : value))),
    x0: block.key[0] + (factor - 1) / 2,
    dx: factor,
    y0: block.query[0] + (factor - 1) / 2,
    dy: factor,
    zmin: range[0],
    zmax: range[1],
    colorscale,
    showscale: false,
    hoverinfo: "skip",
  };
}

// The panel

/** How much room the labels of a side need, so that it does not change with the block. */
export function roomFor(labels) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = "14px system-ui, sans-serif";
  const widths = labels.map((label) => context.measureText(label ?? "").width);
  const widest = widths.reduce((most, width) => Math.max(most, width), 0);
  return Math.ceil(Math.min(Math.max(widest + 14, LEAST_ROOM), MOST_ROOM));
}

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
   */
  constructor(axes, acts) {
    Object.assign(this, { axes, acts });
    this.rooms = { query: roomFor(axes.query.labels), key: roomFor(axes.key.labels) };
    this.cursor = null;
    this.anchor = null;
    this.makeParts();
    this.follow();
  }

  makeParts() {
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
    this.sides = {
      query: element("div", {
        class: "matrix-labels query",
        role: "group",
        "aria-label": "Queries",
      }),
      key: element("div", { class: "matrix-labels key", role: "group", "aria-label": "Keys" }),
    };
    const corner = element("div", { class: "matrix-corner", "aria-hidden": "true" });
    const parts = [corner, this.sides.key, this.sides.query, this.field];
    this.root = element("div", { class: "matrix" }, parts);
    this.root.style.setProperty("--label-width", `${this.rooms.query}px`);
    this.root.style.setProperty("--label-height", `${this.rooms.key}px`);
  }

  /** Draw a block: its grid, its labels. */
  show({ block, cell, factor, grid, range, colorscale, label }) {
    Object.assign(this, { block, cell, factor });
    const size = (side) => Math.max(1, Math.round(lengthOf(block[side]) * cell));
    this.field.style.width = `${size("key")}px`;
    this.field.style.height = `${size("query")}px`;
    this.field.setAttribute("aria-label", label);
    this.showLabels("query");
    this.showLabels("key");
    this.point(null);
    draw(this.picture, [gridTrace(grid, { block, factor, range, colorscale })], {
      x: [block.key[0] - 0.5, block.key[1] + 0.5],
      y: [block.query[1] + 0.5, block.query[0] - 0.5],
      width: size("key"),
      height: size("query"),
    });
  }

  /** A label for each token of the block, or for each second, third, … where they are small. */
  showLabels(side) {
    const { block, cell } = this;
    const key = [side, ...block[side], cell].join(" ");
    if (this.sides[side].dataset.shown === key) return;
    this.sides[side].dataset.shown = key;
    const step = Math.ceil(LABEL_HEIGHT / cell);
    const buttons = [];
    for (let position = block[side][0]; position <= block[side][1]; position += step) {
      const button = this.label(side, position, step);
      if (button) buttons.push(button);
    }
    walk(buttons, side === "query" ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"]);
    const extent = `${Math.round(lengthOf(block[side]) * cell)}px`;
    this.sides[side].style[side === "query" ? "height" : "width"] = extent;
    this.sides[side].replaceChildren(...buttons);
  }

  label(side, position, step) {
    const { cell, block } = this;
    const button = tokenButton(this.axes[side], side, position);
    if (!button) return null;
    const start = `${(position - block[side][0]) * cell + Math.max(0, (cell - LABEL_HEIGHT * 2) / 2)}px`;
    const breadth = `${Math.min(cell * Math.max(step, 1), LABEL_HEIGHT * 2)}px`;
    button.style.setProperty("--start", start);
    button.style.setProperty("--breadth", breadth);
    button.style.fontSize = `${Math.min(14, Math.max(10, Math.min(cell * step, 28) - 3))}px`;
    const point = () => this.acts.token(side, position);
    const leave = () => this.acts.token(side, null);
    button.addEventListener("pointerenter", point);
    button.addEventListener("pointerleave", leave);
    button.addEventListener("focus", point);
    button.addEventListener("blur", leave);
    button.addEventListener("click", (event) => this.acts.pressToken(side, position, event));
    return button;
  }

  follow() {
    const { field, acts } = this;
    field.addEventListener("pointermove", (event) => this.onMove(event));
    field.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.anchor = this.cellAt(event);
      if (event.pointerType !== "touch") field.setPointerCapture(event.pointerId);
    });
    field.addEventListener("pointerup", (event) => this.onUp(event));
    field.addEventListener("pointercancel", () => this.letGo());
    field.addEventListener("pointerleave", () => acts.point(null));
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
    const [down, right] = STEPS[event.key] ?? [];
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
    for (const side of ["query", "key"]) {
      const position = side === "query" ? query : key;
      for (const button of this.sides[side].children) {
        button.classList.toggle("focal", Number(button.dataset.position) === position);
      }
    }
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

  /** Mark tokens as pressed: those of one side whose positions are given. */
  press(side, positions) {
    for (const button of this.sides[side].children) {
      button.setAttribute(
        "aria-pressed",
        String(positions.includes(Number(button.dataset.position))),
      );
    }
  }
}

function between([a, b], [c, d]) {
  return { query: [Math.min(a, c), Math.max(a, c)], key: [Math.min(b, d), Math.max(b, d)] };
}

/** A token of an axis; null where the axis has none. */
function tokenButton(axis, side, position) {
  const label = axis.labels[position];
  const index = axis.tokens[position];
  if (label === null || index === null) return null;
  const notes = [axis.notes?.[position]];
  if (axis.special[position]) notes.push("special token");
  if (axis.unknown[position]) notes.push("unknown to the model");
  const name = [label, ...notes].filter(Boolean).join(", ");
  const button = element("button", {
    type: "button",
    class: "token",
    "data-side": side,
    "data-token-index": index,
    "data-position": position,
    "data-special": axis.special[position] ? "true" : null,
    "data-unknown": axis.unknown[position] ? "true" : null,
    "data-noted": axis.notes?.[position] ? "true" : null,
    "aria-pressed": "false",
    "aria-label": `${side} ${index}: ${name}`,
    title: name,
  });
  button.append(element("bdi", {}, label));
  return button;
}

/** Tab enters a side once; arrows, Home and End walk in it. */
function walk(buttons, [back, forth]) {
  buttons.forEach((button, place) => {
    button.tabIndex = place === 0 ? 0 : -1;
    button.addEventListener("focus", () => {
      for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
    });
    button.addEventListener("keydown", (event) => {
      const steps = { [back]: place - 1, [forth]: place + 1, Home: 0, End: buttons.length - 1 };
      const next = steps[event.key];
      if (next === undefined) return;
      event.preventDefault();
      buttons[Math.min(Math.max(next, 0), buttons.length - 1)].focus();
    });
  });
}

/** What pooling leaves out, in words; nothing where all weights are drawn. */
export function poolingWords(factor, what = "weights") {
  if (factor === 1) return "";
  return `Each cell drawn is the largest of ${factor} × ${factor} ${what}: drag over a part to see it whole.`;
}

// To be saved

/** A matrix as a part of a whole figure: its trace and its two axes. */
export function matrixFigure(panel, grid, { range, colorscale, title, colorbar, number = "" }) {
  const { block, factor, axes } = panel;
  const trace = gridTrace(grid, { block, factor, range, colorscale });
  const keyAxis = figureAxis(axes.key, block.key, "key");
  const queryAxis = figureAxis(axes.query, block.query, "query");
  return {
    trace: {
      ...trace,
      xaxis: `x${number}`,
      yaxis: `y${number}`,
      showscale: Boolean(colorbar),
      colorbar,
    },
    axes: {
      [`xaxis${number}`]: { ...keyAxis, title: { text: title ?? "key" } },
      [`yaxis${number}`]: { ...queryAxis, title: { text: title === undefined ? "query" : "" } },
    },
  };
}

const MOST_TICKS = 60;
const LONGEST_TICK = 18;

function figureAxis(axis, [first, last], side) {
  const step = Math.ceil((last - first + 1) / MOST_TICKS);
  const places = [];
  for (let place = first; place <= last; place += step) places.push(place);
  const ends = [first - 0.5, last + 0.5];
  return {
    tickvals: places,
    ticktext: places.map((place) => escaped(shortened(axis.labels[place] ?? ""))),
    range: side === "key" ? ends : ends.reverse(),
    side: side === "key" ? "top" : "left",
    tickangle: side === "key" ? -90 : 0,
    showgrid: false,
    zeroline: false,
    ticks: "",
  };
}

export function shortened(label, longest = LONGEST_TICK) {
  const characters = [...label];
  return characters.length > longest ? `${characters.slice(0, longest - 1).join("")}…` : label;
}

/** Plotly reads some HTML in labels, and tokens are text. */
export function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A size in pixels for so many cells in a figure to be saved. */
export function figureSide([first, last]) {
  return Math.min(Math.max((last - first + 1) * 24, 160), 900);
}

// The view

class HeatmapView {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record });
    this.whole = { query: [0, record.queryLen - 1], key: [0, record.keyLen - 1] };
    const row = record.layers.indexOf(style.layer);
    this.first = { row, head: style.head, zoom: 1, scale: style.scaleTo };
    this.state = { ...this.first, block: null };
    this.fromLink(readLink(section.id));
    this.anchors = { query: null, key: null };
    this.pointed = [null, null];
    this.width = 0;
  }

  get block() {
    return this.state.block ?? this.whole;
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
  }

  controls() {
    const { record, state } = this;
    const set = (name) => (value) => {
      state[name] = value;
      this.update();
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
    const scale = choice({
      name: "scale",
      label: "Colours",
      options: SCALES,
      value: state.scale,
      change: set("scale"),
    });
    this.wholeButton = element(
      "button",
      { type: "button", class: "plain", name: "whole" },
      "Whole",
    );
    this.wholeButton.addEventListener("click", () => this.select(null));
    const save = exportButtons("heatmap-view", () => this.figure());
    return [this.layer.root, this.head.root, zoom.root, scale.root, this.wholeButton, save];
  }

  select(block) {
    this.state.block = block;
    this.anchors = { query: null, key: null };
    this.update();
    const { query, key } = this.block;
    announce(`Showing ${lengthOf(query)} × ${lengthOf(key)} tokens.`);
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
    if (right) state.head = nextHead(record, state.head, right);
    this.layer.show(String(state.row));
    this.head.show(String(state.head));
    this.update();
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
    this.toLink();
    this.pointed = [null, null];
    this.say();
    if (this.width > 0) this.draw();
  }

  draw() {
    const { record, state, style, panel, block } = this;
    const size = cellSize(this.width - panel.rooms.query - 2, block, state.zoom);
    const values = (query) => rowOf(record, state.row, state.head, query);
    this.grid = gridOf(block, size.factor, values);
    this.largest = largestOf(this.grid);
    const range = [0, state.scale === "one" ? 1 : this.largest || 1];
    const label = `Attention, ${this.words()}. Arrow keys change layer and head, with Shift they go from cell to cell, Escape shows the whole.`;
    panel.show({ block, ...size, grid: this.grid, range, colorscale: themed(style.scale), label });
    this.showLegend(range[1], size.factor);
  }

  showLegend(most, factor) {
    const { style, state } = this;
    const end = state.scale === "one" ? "1" : `${figure(this.largest)}, the largest weight shown`;
    const missing = hasMissing(this.grid) ? "Hatched: missing." : "";
    this.legend.replaceChildren(
      scaleLegend(style.scale, "weight 0", most === 1 && state.scale !== "one" ? "1" : end),
      element(
        "p",
        { class: "matrix-note" },
        [poolingWords(factor), missing].filter(Boolean).join(" "),
      ),
    );
  }

  point(cell) {
    this.pointed = cell;
    this.panel.point(cell);
    this.say();
  }

  say() {
    this.reading.textContent = this.sentence();
  }

  words() {
    return headWords(this.record, this.state.row, this.state.head);
  }

  /** What is pointed at, in a sentence. */
  sentence() {
    const [query, key] = this.pointed;
    if (query !== null && key !== null) return this.cellSentence(query, key);
    if (query !== null || key !== null) return this.tokenSentence(query, key);
    const anchored = Object.entries(this.anchors).find(([, position]) => position !== null);
    if (anchored) {
      return `The range begins at ${anchored[0]} ${this.named(...anchored)}. Click its last token with Shift.`;
    }
    const part = blockWords(this.block, this.whole);
    return `Showing ${this.words()}${part ? `: ${part}` : ""}.`;
  }

  named(side, position) {
    const { labels } = side === "query" ? this.record.queries : this.record.keys;
    return `“${shortened(labels[position], 40)}”`;
  }

  weight(query, key) {
    return weightOf(this.record, this.state.row, this.state.head, query, key);
  }

  cellSentence(query, key) {
    const { factor } = this.panel;
    const [q, k] = factor === 1 ? [query, key] : this.strongestIn(query, key);
    const of = factor === 1 ? "" : `, the largest of ${factor} × ${factor} here`;
    const pair = `${this.named("query", q)} → ${this.named("key", k)}`;
    return `${pair}: ${figure(this.weight(q, k))}${of} (${this.words()})${this.leftOut(q)}`;
  }

  /** The pair of a drawn cell that gave it its colour. */
  strongestIn(query, key) {
    const { block, factor } = this.panel;
    const starts = [
      [query, block.query],
      [key, block.key],
    ].map(([place, [first, last]]) => {
      const start = place - ((place - first) % factor);
      return [start, Math.min(start + factor - 1, last)];
    });
    let best = [starts[0][0], starts[1][0]];
    for (let q = starts[0][0]; q <= starts[0][1]; q += 1) {
      for (let k = starts[1][0]; k <= starts[1][1]; k += 1) {
        const isFirst = Number.isNaN(this.weight(...best));
        if (isFirst || this.weight(q, k) > this.weight(...best)) best = [q, k];
      }
    }
    return best;
  }

  tokenSentence(query, key) {
    const isQuery = query !== null;
    const [first, last] = isQuery ? this.block.key : this.block.query;
    const others = [];
    for (let other = first; other <= last; other += 1) {
      const weight = isQuery ? this.weight(query, other) : this.weight(other, key);
      if (!Number.isNaN(weight)) others.push([other, weight]);
    }
    others.sort((a, b) => b[1] - a[1]);
    const side = isQuery ? "key" : "query";
    const list = others
      .slice(0, NAMED)
      .map(([other, weight]) => `${this.named(side, other)} ${figure(weight)}`);
    const token = isQuery ? this.named("query", query) : this.named("key", key);
    const verb = isQuery ? "gives most to" : "gets most from";
    return `${token} ${verb}: ${list.join(", ") || "missing"} (${this.words()})`;
  }

  /** How much of a row the page of a long text does not hold. */
  leftOut(query) {
    const { record, state } = this;
    if (!record.kept || typeof state.head !== "number") return "";
    const rest = figure(record.remainder(state.row, state.head, query));
    return `; ${rest} of this row is in weights that the page leaves out`;
  }

  toLink() {
    const { state, first, record } = this;
    const changed = (name, value) => (state[name] === first[name] ? null : value);
    writeLink(this.section.id, {
      layer: changed("row", record.layers[state.row]),
      head: changed("head", state.head),
      zoom: changed("zoom", state.zoom),
      scale: changed("scale", state.scale),
      ...blockToLink(state.block, this.whole),
    });
  }

  fromLink(link) {
    const { state, record } = this;
    const row = record.layers.indexOf(Number(link.layer ?? Number.NaN));
    if (row !== -1) state.row = row;
    state.head = headFrom(link.head, record) ?? state.head;
    const zoom = Number(link.zoom);
    if (zoom >= 1 && zoom <= LARGEST_ZOOM) state.zoom = zoom;
    if (SCALES.some(([name]) => name === link.scale)) state.scale = link.scale;
    state.block = blockFrom(link, this.whole);
  }

  /** What is seen as a whole figure. */
  figure() {
    const { state, style, block, panel } = this;
    const range = [0, state.scale === "one" ? 1 : this.largest || 1];
    const colorbar = { title: { text: "weight" }, thickness: 14, outlinewidth: 0 };
    const { trace, axes } = matrixFigure(panel, this.grid, {
      range,
      colorscale: themed(style.scale),
      colorbar,
    });
    const layout = {
      width: figureSide(block.key) + panel.rooms.query + 170,
      height: figureSide(block.query) + panel.rooms.key + 120,
      margin: { l: panel.rooms.query + 40, r: 130, t: panel.rooms.key + 100, b: 20 },
      title: { text: escaped(this.words()), font: { size: 15 }, x: 0, xref: "paper", y: 0.98 },
      paper_bgcolor: colourOf("paper"),
      plot_bgcolor: colourOf("paper"),
      font: { color: colourOf("ink"), size: 13 },
      ...axes,
    };
    return { data: [trace], layout };
  }
}
