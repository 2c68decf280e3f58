// The evolution view: one pattern at many times of a training, with a slider that can play.
import { below, fitting, rowOfLayer } from "./address.js";
import { announce, element, figure } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { colorBar, paperLayout } from "./figures.js";
import { scaleLegend } from "./head-grid.js";
import {
  headChoice,
  headFrom,
  headWords,
  layerChoice,
  nextHead,
  rowOf,
  weightOf,
} from "./heads.js";
import { readLink, writeLink } from "./link.js";
import { MatrixPanel } from "./matrix.js";
import { figureSide, matrixFigure } from "./matrix-figure.js";
import { cellSize, gridOf, hasMissing } from "./matrix-grid.js";
import { quantity, whole } from "./numbers.js";
import { playback } from "./playback.js";
import { draw, onWidth } from "./plot.js";
import { colorOf, onTheme, themed } from "./theme.js";

const FRAME = 80;
// A playing takes no longer than this, however many times there are.
const LONGEST_PLAY = 12_000;
const CURVE_HEIGHT = 90;

/** Build the view in its section. */
export function mountEvolutionView(section, style, record) {
  new EvolutionView(section, style, record).build();
}

/** The record as it was at one of the times: what reads a record can read this. */
class Moment {
  constructor(record, history) {
    Object.assign(this, { record, history, place: 0 });
    for (const name of ["layers", "numLayers", "numHeads", "queryLen", "keyLen"]) {
      this[name] = record[name];
    }
  }

  weight(row, head, query, key) {
    const { place, numLayers, numHeads, queryLen, keyLen } = this;
    const line = ((place * numLayers + row) * numHeads + head) * queryLen + query;
    return this.history.at(line * keyLen + key);
  }

  forEachWeight(row, head, query, visit) {
    for (let key = 0; key < this.keyLen; key += 1) visit(key, this.weight(row, head, query, key));
  }
}

class EvolutionView {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record });
    this.moment = new Moment(record, style.arrays.history);
    this.block = { query: [0, record.queryLen - 1], key: [0, record.keyLen - 1] };
    const row = record.layers.indexOf(style.layer);
    this.first = { row, head: style.head, place: style.place };
    this.state = { ...this.first };
    this.fromLink(readLink(section.id));
    this.width = 0;
    this.pointed = [null, null];
  }

  get last() {
    return this.style.times.length - 1;
  }

  build() {
    const { record, section, style } = this;
    this.reading = element("p", { class: "reading" });
    this.legend = element("div", { class: "matrix-legend" });
    this.curve = element("div", { class: "evolution-curve" });
    const axis = (sequence) => ({ ...sequence, tokens: sequence.labels.map((_, index) => index) });
    this.panel = new MatrixPanel(
      { query: axis(record.queries), key: axis(record.keys) },
      {
        point: (cell) => this.point(cell ?? [null, null]),
        token: (side, position) =>
          this.point(side === "query" ? [position, null] : [null, position]),
        select: () => {},
        pressToken: () => {},
        step: (down, right) => this.step(down, right),
      },
    );
    const losses = style.losses.length > 0 ? [this.curveBlock()] : [];
    section.append(
      element("div", { class: "controls" }, this.controls()),
      this.reading,
      ...losses,
      this.panel.root,
      this.legend,
    );
    onWidth(section, (width) => {
      this.width = width;
      this.update();
    });
    onTheme(() => this.update());
    this.update();
  }

  controls() {
    const { record, state, style } = this;
    const set = (name) => (value) => {
      state[name] = value;
      this.update();
    };
    this.player = playback({
      name: "place",
      label: capital(style.unit),
      last: this.last,
      value: state.place,
      frame: FRAME,
      longest: LONGEST_PLAY,
      say: (place) => whole(style.times[place]),
      told: () => this.time(),
      change: set("place"),
    });
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
    const save = exportButtons("evolution-view", () => this.figure());
    return [this.player.root, this.layer.root, this.head.root, save];
  }

  curveBlock() {
    return element("figure", { class: "evolution-loss" }, [
      element("figcaption", { class: "note" }, "Loss, on a logarithmic scale"),
      this.curve,
    ]);
  }

  step(down, right) {
    const { record, state } = this;
    state.row = Math.min(Math.max(state.row + down, 0), record.numLayers - 1);
    if (right) state.head = nextHead(record, state.head, right);
    this.layer.show(String(state.row));
    this.head.show(String(state.head));
    this.update();
    announce(this.reading.textContent);
  }

  update() {
    this.moment.place = this.state.place;
    this.toLink();
    this.say();
    if (this.width > 0) this.draw();
  }

  draw() {
    const { state, style, panel, block, moment } = this;
    const size = cellSize(this.width - panel.rooms.query - 2, block, 1);
    this.grid = gridOf(block, size.factor, (query) => rowOf(moment, state.row, state.head, query));
    const label = `Attention, ${this.words()}, ${this.time()}. Arrow keys change layer and head, with Shift they go from cell to cell.`;
    panel.show({
      block,
      ...size,
      grid: this.grid,
      range: [0, 1],
      colorscale: themed(style.scale),
      label,
    });
    panel.point(this.pointed);
    const missing = hasMissing(this.grid) ? "Hatched: missing." : "";
    this.legend.replaceChildren(
      scaleLegend(style.scale, "weight 0", "1"),
      element("p", { class: "matrix-note" }, missing),
    );
    if (style.losses.length > 0) this.drawCurve();
  }

  drawCurve() {
    const { style, state, last } = this;
    const y = style.losses.map((loss) => (loss > 0 ? Math.log10(loss) : null));
    const known = y.filter((value) => value !== null);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const pad = (high - low || 1) * 0.08;
    const line = {
      type: "scatter",
      mode: "lines",
      x: y.map((_, place) => place),
      y,
      line: { color: colorOf("muted"), width: 1.5 },
    };
    const now = {
      type: "scatter",
      mode: "markers",
      x: [state.place],
      y: [y[state.place]],
      marker: { color: colorOf("accent"), size: 9 },
    };
    const margin = Math.max(last, 1) * 0.02;
    draw(this.curve, () => [line, now], {
      x: [-margin, last + margin],
      y: [low - pad, high + pad],
      width: Math.min(this.width, 560),
      height: CURVE_HEIGHT,
    });
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

  /** "epoch 40 of 200, loss 0.214". */
  time() {
    const { unit, times, losses } = this.style;
    const { place } = this.state;
    const loss = losses.length > 0 ? `, loss ${lossWords(losses[place])}` : "";
    return `${unit} ${whole(times[place])} of ${whole(times[this.last])}${loss}`;
  }

  sentence() {
    const { moment, state, record } = this;
    const [query, key] = this.pointed;
    const time = `${capital(this.time())} (${this.words()})`;
    if (query === null && key === null) return `${time}.`;
    const named = (sequence, index) => `“${sequence.labels[index]}”`;
    if (query !== null && key !== null) {
      const weight = weightOf(moment, state.row, state.head, query, key);
      return `${time}: ${named(record.queries, query)} → ${named(record.keys, key)} ${figure(weight)}.`;
    }
    const isQuery = query !== null;
    const other = isQuery ? record.keys : record.queries;
    const weights = other.labels.map((_, index) =>
      isQuery
        ? weightOf(moment, state.row, state.head, query, index)
        : weightOf(moment, state.row, state.head, index, key),
    );
    const order = weights.map((_, index) => index).filter((index) => !Number.isNaN(weights[index]));
    order.sort((a, b) => weights[b] - weights[a]);
    const list = order
      .slice(0, 3)
      .map((index) => `${named(other, index)} ${figure(weights[index])}`);
    const token = isQuery ? named(record.queries, query) : named(record.keys, key);
    const verb = isQuery ? "gives most to" : "gets most from";
    return `${time}: ${token} ${verb} ${list.join(", ") || "missing"}.`;
  }

  toLink() {
    const { state, first, record } = this;
    const changed = (name, value) => (state[name] === first[name] ? null : value);
    writeLink(this.section.id, {
      place: changed("place", state.place),
      layer: changed("row", record.layers[state.row]),
      head: changed("head", state.head),
    });
  }

  fromLink(link) {
    const { record } = this;
    const { layer, ...choices } = fitting(link, {
      layer: rowOfLayer(record.layers),
      head: headFrom(record),
      place: below(this.last + 1),
    });
    Object.assign(this.state, choices);
    this.state.row = layer ?? this.state.row;
  }

  /** What is seen as a whole figure. */
  figure() {
    const { style, block, panel } = this;
    const { trace, axes } = matrixFigure(panel, this.grid, {
      range: [0, 1],
      colorscale: themed(style.scale),
      colorbar: colorBar("weight"),
    });
    const layout = paperLayout(`${this.words()}, ${this.time()}`, {
      width: figureSide(block.key) + panel.rooms.query + 170,
      height: figureSide(block.query) + panel.rooms.key + 100,
      margin: { l: panel.rooms.query + 40, r: 130, t: panel.rooms.key + 80, b: 20 },
      ...axes,
    });
    return { data: [trace], layout };
  }
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function lossWords(loss) {
  return loss === null ? "unknown" : quantity(loss);
}
