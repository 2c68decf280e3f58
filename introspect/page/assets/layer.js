// The layer view: one token's attention to every token, layer by layer.
import { choice } from "./controls.js";
import { element, escaped, figure, labelled } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { scaleLegend } from "./head-grid.js";
import { roomFor, rowOf, SCALES, shortened, weightOf } from "./heatmap.js";
import { readLink, writeLink } from "./link.js";
import { onWidth } from "./plot.js";
import { colourOf, onTheme, themed } from "./theme.js";
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
const SIDES = [
  ["query", "from the token"],
  ["key", "to the token"],
];

/** Build the view in its section. */
export function mountLayerView(section, style, record) {
  const view = new LayerView(section, style, record);
  view.build();
}

// The numbers

/** Where the state's numbers are: by layer row and token of the other side. */
class Numbers {
  constructor(state, record, rollout) {
    Object.assign(this, { state, record, rollout });
  }

  /** What the chosen token gives in a layer to each token, or gets from each. */
  line(row) {
    const { state, record } = this;
    const [query, key] = state.side === "query" ? [state.token, null] : [null, state.token];
    if (state.weights === "rollout") return this.rolloutLine(row, query, key);
    const head = state.weights === "one" ? state.head : state.weights;
    if (key === null) return rowOf(record, row, head, query);
    return Float64Array.from({ length: record.queryLen }, (_, q) =>
      weightOf(record, row, head, q, key),
    );
  }

  rolloutLine(row, query, key) {
    const n = this.record.keyLen;
    const place = (other) => (key === null ? query * n + other : other * n + key);
    return Float64Array.from({ length: n }, (_, other) =>
      this.rollout.at(row * n * n + place(other)),
    );
  }

  /** What of a layer lies on some tokens together; of `max`, the largest of what one head gives. */
  share(row, tokens, line) {
    const { state, record } = this;
    if (state.weights !== "max") return tokens.reduce((sum, token) => sum + line[token], 0);
    let largest = 0;
    for (let head = 0; head < record.numHeads; head += 1) {
      const given = tokens.reduce((sum, token) => {
        const [query, key] = state.side === "query" ? [state.token, token] : [token, state.token];
        return sum + record.weight(row, head, query, key);
      }, 0);
      largest = Math.max(largest, given);
    }
    return largest;
  }

  /** How much of the token's attention the page of a long text does not hold, at most. */
  remainder() {
    const { state, record } = this;
    if (!record.kept || state.side === "key" || state.weights === "rollout") return null;
    const heads =
      state.weights === "one"
        ? [state.head]
        : Array.from({ length: record.numHeads }, (_, head) => head);
    const means = record.layers.map(
      (_, row) =>
        heads.reduce((sum, head) => sum + record.remainder(row, head, state.token), 0) /
        heads.length,
    );
    return Math.max(...means);
  }
}

/** The place of the largest number among some; -1 where all are missing. */
function largestPlace(line, places) {
  let best = -1;
  for (const place of places) {
    if (!Number.isNaN(line[place]) && (best === -1 || line[place] > line[best])) best = place;
  }
  return best;
}

// Colours

function channels(hex) {
  return [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16));
}

/** A function from 0 to 1 to the colour of a scale, red, green and blue. */
function colouring(scale) {
  const stops = scale.map(([at, hex]) => [at, channels(hex)]);
  return (value) => {
    const bounded = Math.min(Math.max(value, 0), 1);
    const next = Math.max(
      1,
      stops.findIndex(([at]) => at >= bounded),
    );
    const [[low, from], [high, to]] = [stops[next - 1], stops[next]];
    const part = (bounded - low) / (high - low);
    return from.map((channel, place) => Math.round(channel + part * (to[place] - channel)));
  };
}

/** Black or white, whichever is read better on a colour. */
function inkOn(colour) {
  const [red, green, blue] = colour.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

/** A strip of cells as a background; missing ones let through what lies below. */
function stripBackground(values, colour) {
  const share = 100 / values.length;
  const parts = values.map((value, place) => {
    const filled = Number.isNaN(value) ? "transparent" : `rgb(${colour(value).join(" ")})`;
    return `${filled} ${place * share}% ${(place + 1) * share}%`;
  });
  return `linear-gradient(to right, ${parts.join(", ")})`;
}

// The view

class LayerView {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record });
    this.first = {
      side: style.side,
      token: style.tokens[style.side],
      weights: style.weights,
      head: style.head,
      special: true,
      scale: "one",
    };
    this.state = { ...this.first };
    this.fromLink(readLink(section.id));
    this.numbers = new Numbers(this.state, record, style.arrays.rollout);
    this.pointed = null;
    this.width = 0;
  }

  get own() {
    return this.record.side(this.state.side);
  }

  get otherSide() {
    return this.state.side === "query" ? "key" : "query";
  }

  get other() {
    return this.record.side(this.otherSide);
  }

  build() {
    const { section, style } = this;
    this.text = element("div", { class: "layer-text" });
    this.reading = element("p", { class: "reading", "aria-live": "polite" });
    this.table = element("div", { class: "layer-table", role: "table" });
    this.place = element("div", { class: "layer-scroller" }, this.table);
    this.mark = element("i", { class: "layer-mark", "aria-hidden": "true" });
    this.legend = element("div", { class: "layer-legend" });
    this.note = element("p", { class: "matrix-note" });
    section.append(
      element("div", { class: "controls" }, this.controls()),
      this.text,
      this.reading,
      this.place,
      this.legend,
      this.note,
    );
    section.style.setProperty("--layer-row", `${style.rowHeight}px`);
    this.listen();
    this.buildText();
    this.width = Math.floor(this.place.clientWidth);
    this.buildTable();
    onWidth(this.place, (width) => {
      if (width === this.width) return;
      this.width = width;
      this.buildTable();
    });
    onTheme(() => this.show());
  }

  listen() {
    this.table.addEventListener("pointermove", (event) => {
      const strip = event.target.closest(".layer-cells");
      if (!strip) return;
      const { left, width } = strip.getBoundingClientRect();
      const row = Math.floor(((event.clientX - left) / width) * this.record.numLayers);
      if (row >= 0 && row < this.record.numLayers) this.point([Number(strip.dataset.token), row]);
    });
    this.table.addEventListener("pointerleave", () => this.point(null));
    this.table.addEventListener("focusout", () => this.point(null));
  }

  // Controls

  controls() {
    const { state, record, style } = this;
    const change = (name) => (value) => this.set({ [name]: value });
    const pick = (name, label, options) =>
      choice({ name, label, options, value: state[name], change: change(name) });
    const ways = [
      ["mean", "mean of heads"],
      ["max", "largest of heads"],
      ["one", "one head"],
    ];
    if (style.arrays.rollout) ways.push(["rollout", "rollout"]);
    const heads = Array.from({ length: record.numHeads }, (_, head) => [String(head), `H${head}`]);
    const head = choice({
      name: "head",
      label: "Head",
      options: heads,
      value: String(state.head),
      change: (value) => this.set({ head: Number(value) }),
    });
    this.headSelect = head.root.querySelector("select");
    this.sideChoice = pick("side", "Direction", SIDES);
    return [
      this.sideChoice.root,
      pick("weights", "Weights", ways).root,
      head.root,
      pick("scale", "Colours", SCALES).root,
      this.specialControl(),
      exportButtons("layer-view", () => this.figure()),
    ].filter(Boolean);
  }

  specialControl() {
    const { record, state } = this;
    if (![...record.queries.special, ...record.keys.special].some(Boolean)) return null;
    const input = element("input", { type: "checkbox", name: "special" });
    input.checked = !state.special;
    input.addEventListener("change", () => this.set({ special: !input.checked }));
    return labelled("Leave out special tokens", input);
  }

  set(change) {
    const { state, style } = this;
    const isTurned = change.side && change.side !== state.side;
    Object.assign(state, change);
    // One text is on both sides; of two texts, the other has its own tokens.
    if (isTurned && !style.isSelf && change.token === undefined) {
      state.token = style.tokens[state.side];
    }
    if (isTurned) this.buildText();
    if (isTurned || change.special !== undefined) this.buildTable();
    else this.show();
    this.toLink();
  }

  // The text that the token is chosen from

  buildText() {
    const { buttons } = tokenColumn(this.own, this.state.side, this.style.rowHeight);
    this.textButtons = buttons;
    walkWithArrows(buttons);
    for (const [index, button] of buttons.entries()) {
      button.classList.add("layer-word");
      button.addEventListener("click", () => this.set({ token: index }));
      button.addEventListener("focus", () => {
        if (button.matches(":focus-visible") && index !== this.state.token) {
          this.set({ token: index });
        }
      });
      button.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        buttons[index + step]?.focus();
      });
    }
    const items = buttons.map((button) => element("li", {}, button));
    this.text.replaceChildren(element("ol", { class: "layer-words" }, items));
  }

  markText() {
    for (const [index, button] of this.textButtons.entries()) {
      button.setAttribute("aria-pressed", String(index === this.state.token));
      button.tabIndex = index === this.state.token ? 0 : -1;
    }
  }

  // The table

  /** The tokens that are rows. */
  get shown() {
    const { special } = this.other;
    const all = special.map((_, index) => index);
    return this.state.special ? all : all.filter((index) => !special[index]);
  }

  get leftOut() {
    const { special } = this.other;
    return this.state.special ? [] : special.flatMap((flag, index) => (flag ? [index] : []));
  }

  buildTable() {
    if (this.width === 0) return;
    const { record, other, otherSide, style } = this;
    this.room = roomFor([...other.labels, "up to layer"]) + PADDING;
    this.measure();
    const { buttons } = tokenColumn(other, otherSide, style.rowHeight);
    const shown = this.shown.map((index) => buttons[index]);
    walkWithArrows(shown);
    this.lines = this.shown.map((index) => this.tokenLine(index, buttons[index]));
    const left = this.leftOut.length > 0 ? [this.leftOutLine()] : [];
    this.leftOutCells = left.map(({ strip }) => strip)[0] ?? null;
    this.section.style.setProperty("--layer-room", `${this.room}px`);
    this.table.style.setProperty("--layer-cell", `${this.cell}px`);
    this.table.style.setProperty("--layers", String(record.numLayers));
    this.table.replaceChildren(
      this.headLine(),
      ...[...this.lines, ...left].map(({ root }) => root),
    );
    this.show();
  }

  /** How wide a cell is, and whether its number has room. */
  measure() {
    const layers = this.record.numLayers;
    const fit = (this.width - this.room) / layers;
    this.cell = Math.max(NARROWEST, Math.min(WIDEST, fit > 12 ? Math.floor(fit) : fit));
    this.isWritten = this.cell >= WRITTEN && layers * this.shown.length <= MOST_WRITTEN;
    this.table.classList.toggle("written", this.isWritten);
  }

  headLine() {
    const { record, cell } = this;
    const layers = record.numLayers;
    const every = STEPS.find((step) => step * cell >= NAME_ROOM) ?? STEPS.at(-1);
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
    button.addEventListener("click", () => this.choose(index));
    button.addEventListener("focus", () => {
      if (button.matches(":focus-visible")) this.point([index, null]);
    });
    button.addEventListener("pointerenter", () => this.point([index, null]));
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
    return { root, strip, cells, index };
  }

  leftOutLine() {
    const head = element("div", { class: "layer-token", role: "rowheader" }, "left out");
    const line = this.line(head, null);
    line.root.classList.add("layer-rest");
    this.rest = line;
    return line;
  }

  /** A row's token becomes the chosen one; of two texts, it is looked at from its own side. */
  choose(index) {
    if (this.style.isSelf) this.set({ token: index });
    else {
      this.set({ side: this.otherSide, token: index });
      this.sideChoice.show(this.state.side);
      // The row that was pressed is no more.
      this.textButtons[index].focus({ preventScroll: true });
    }
    this.textButtons[index].scrollIntoView({ block: "nearest" });
  }

  onRowKey(event, index) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const last = this.record.numLayers - 1;
    const at = this.pointed?.[1] ?? (step > 0 ? -1 : last + 1);
    this.point([index, Math.min(Math.max(at + step, 0), last)]);
  }

  // What is shown

  show() {
    if (this.width === 0) return;
    const { state, record } = this;
    this.values = record.layers.map((_, row) => this.numbers.line(row));
    this.bests = this.values.map((line) => largestPlace(line, this.shown));
    const largest = Math.max(0, ...this.bests.map((best, row) => this.values[row][best] ?? 0));
    this.largest = state.scale === "one" ? 1 : largest || 1;
    const scale = colouring(themed(this.style.scale));
    const colour = (value) => scale(value / this.largest);
    for (const line of this.lines) this.fill(line, this.rowValues(line.index), colour);
    if (this.leftOut.length > 0) this.fill(this.rest, this.restValues(), null);
    this.headSelect.disabled = state.weights !== "one";
    this.markText();
    this.markRows();
    this.showWords();
    this.point(null);
  }

  /** A token's numbers, layer by layer. */
  rowValues(index) {
    return this.values.map((line) => line[index]);
  }

  restValues() {
    return this.values.map((line, row) => this.numbers.share(row, this.leftOut, line));
  }

  fill({ strip, cells, index }, values, colour) {
    const shown = colour ? stripBackground(values, colour) : "none";
    strip.style.backgroundImage = colour ? `${shown}, var(--layer-missing)` : shown;
    if (cells.length === 0) strip.setAttribute("aria-label", this.said(values));
    cells.forEach((cell, row) => {
      const value = values[row];
      const isMissing = Number.isNaN(value);
      cell.textContent = isMissing ? "–" : figure(value);
      if (isMissing) cell.setAttribute("aria-label", "missing");
      else cell.removeAttribute("aria-label");
      cell.classList.toggle("strong", index !== null && this.bests[row] === index);
      // As it is written, so that equal figures look equal.
      const written = Math.round((100 * value) / this.largest) / 100;
      const isQuiet = !colour || isMissing || written < SMALL;
      cell.style.color = isQuiet ? "" : inkOn(colour(value));
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
    const { state, style } = this;
    for (const { root, index } of this.lines) {
      const isOwn = style.isSelf && index === state.token;
      root.classList.toggle("own", isOwn);
      root.querySelector(".token").setAttribute("aria-pressed", String(isOwn));
    }
  }

  showWords() {
    const { state, style } = this;
    const isRollout = state.weights === "rollout";
    this.corner.textContent = isRollout ? "up to layer" : "layer";
    this.table.setAttribute("aria-label", `${this.caption()}: tokens by layers`);
    this.legend.replaceChildren(
      scaleLegend(style.scale, "0", state.scale === "one" ? "1" : figure(this.largest)),
    );
    this.note.textContent = this.notes().join(" ");
  }

  notes() {
    const { state, style, leftOut } = this;
    const notes = this.isWritten && this.shown.length > 1 ? ["Bold: the largest of a layer."] : [];
    if (leftOut.length > 0) {
      const what = leftOut.length === 1 ? "1 special token" : `${leftOut.length} special tokens`;
      const most = state.weights === "max" ? ", in the head with most" : "";
      notes.push(`Left out: ${what}; the last row has what they sum to${most}.`);
    }
    if (this.values.some((line) => this.shown.some((place) => Number.isNaN(line[place])))) {
      notes.push("Hatched cells are missing.");
    }
    const remainder = this.numbers.remainder();
    if (remainder !== null) {
      notes.push(`Up to ${figure(remainder)} of a layer is in weights too small for this page.`);
    }
    if (state.weights === "rollout") {
      notes.push(
        "Rollout follows attention alone: half of every token passes each layer unchanged.",
      );
    }
    if (state.weights === "rollout" || !style.arrays.rollout) notes.push(style.rollout);
    return notes.filter(Boolean);
  }

  // In words

  named(side, index) {
    return `“${shortened(this.record.side(side).labels[index], 24)}”`;
  }

  how() {
    const { state, record } = this;
    const one = `in head ${record.numHeads === 1 ? 0 : state.head}`;
    const heads = `over ${record.numHeads} heads`;
    return {
      mean: record.numHeads === 1 ? one : `on average ${heads}`,
      max: record.numHeads === 1 ? one : `at most ${heads}`,
      one,
      rollout: "by rollout",
    }[state.weights];
  }

  caption() {
    const way = this.state.side === "query" ? "From" : "To";
    return `${way} ${this.named(this.state.side, this.state.token)}, ${this.how()}`;
  }

  figureTitle() {
    return this.leftOut.length > 0 ? `${this.caption()}, special tokens left out` : this.caption();
  }

  /** Point at a cell, at a row (without a layer), or at nothing. */
  point(place) {
    this.pointed = place;
    const line = place && this.lines.find(({ index }) => index === place[0]);
    if (!line || place[1] === null) this.mark.remove();
    else {
      this.mark.style.left = `${(place[1] * 100) / this.record.numLayers}%`;
      line.strip.append(this.mark);
    }
    this.reading.textContent = place ? this.readPlace(...place) : this.readAll();
  }

  readPlace(token, row) {
    const { state, record } = this;
    const values = this.rowValues(token);
    const places = values.map((_, place) => place);
    const at = row ?? largestPlace(values, places);
    const pair =
      state.side === "query"
        ? [this.named("query", state.token), this.named("key", token)]
        : [this.named("query", token), this.named("key", state.token)];
    if (at === -1) return `${pair.join(" → ")}: missing in every layer.`;
    const layer = `${state.weights === "rollout" ? "up to layer" : "layer"} ${record.layers[at]}`;
    const where = row !== null ? layer : `most ${layer.replace(/^layer/, "in layer")}`;
    return `${pair.join(" → ")}, ${where}: ${figure(values[at])} (${this.how()}).`;
  }

  /** Where the chosen token looks most, of all layers. */
  readAll() {
    const { state, record } = this;
    const rows = record.layers.map((_, row) => row);
    const tops = this.bests.map((best, row) => (best === -1 ? Number.NaN : this.values[row][best]));
    const row = largestPlace(tops, rows);
    const token = this.named(state.side, state.token);
    if (row === -1) return `Every weight of ${token} is missing.`;
    const other = this.named(this.otherSide, this.bests[row]);
    const layer = `layer ${record.layers[row]}`;
    const tail = `(${figure(tops[row])} ${this.how()}).`;
    if (state.weights === "rollout") {
      return state.side === "query"
        ? `${token} holds most of ${other} up to ${layer} ${tail}`
        : `Most of ${token} is held by ${other} up to ${layer} ${tail}`;
    }
    return state.side === "query"
      ? `${token} looks most at ${other} in ${layer} ${tail}`
      : `${token} is looked at most by ${other} in ${layer} ${tail}`;
  }

  // The address

  toLink() {
    const { state, first, style } = this;
    const start = { ...first, token: style.isSelf ? first.token : style.tokens[state.side] };
    const differs = (name) => (state[name] === start[name] ? null : state[name]);
    writeLink(this.section.id, {
      side: differs("side"),
      token: differs("token"),
      weights: differs("weights"),
      head: differs("head"),
      scale: differs("scale"),
      special: state.special ? null : "hidden",
    });
  }

  fromLink(link) {
    const { state, style, record } = this;
    const number = (text, end) =>
      /^\d+$/.test(text ?? "") && Number(text) < end ? Number(text) : null;
    if (SIDES.some(([side]) => side === link.side)) state.side = link.side;
    if (!style.isSelf) state.token = style.tokens[state.side];
    state.token = number(link.token, this.own.labels.length) ?? state.token;
    const ways = ["mean", "max", "one", ...(style.arrays.rollout ? ["rollout"] : [])];
    if (ways.includes(link.weights)) state.weights = link.weights;
    state.head = number(link.head, record.numHeads) ?? state.head;
    if (SCALES.some(([scale]) => scale === link.scale)) state.scale = link.scale;
    if (link.special === "hidden") state.special = false;
  }

  /** What is seen as a whole figure. */
  figure() {
    const { record, shown } = this;
    const lines = shown.map((index) => this.rowValues(index));
    const rows = shown.map((_, place) => place);
    const cell = this.isWritten ? 48 : Math.max(10, Math.round(this.cell));
    const every = STEPS.find((step) => step * cell >= NAME_ROOM) ?? STEPS.at(-1);
    const ticks = record.layers.map((_, row) => row).filter((row) => row % every === 0);
    const trace = {
      type: "heatmap",
      z: lines.map((line) => line.map((value) => (Number.isNaN(value) ? null : value))),
      text: lines.map((line) => line.map((value) => (Number.isNaN(value) ? "–" : figure(value)))),
      texttemplate: this.isWritten ? "%{text}" : undefined,
      zmin: 0,
      zmax: this.largest,
      colorscale: themed(this.style.scale),
      colorbar: { title: { text: "weight" }, thickness: 14, outlinewidth: 0 },
      xgap: 1,
      ygap: 1,
    };
    const bare = { showgrid: false, zeroline: false, ticks: "" };
    const layout = {
      width: this.room + 150 + Math.max(240, cell * record.numLayers),
      height: 130 + Math.max(120, shown.length * this.style.rowHeight),
      margin: { l: this.room + 20, r: 130, t: 100, b: 30 },
      title: {
        text: escaped(this.figureTitle()),
        font: { size: 15 },
        x: 0,
        xref: "paper",
        y: 0.97,
      },
      paper_bgcolor: colourOf("paper"),
      plot_bgcolor: colourOf("paper"),
      font: { color: colourOf("ink"), size: 13 },
      xaxis: {
        ...bare,
        side: "top",
        title: { text: this.corner.textContent },
        tickvals: ticks,
        ticktext: ticks.map((row) => String(record.layers[row])),
      },
      yaxis: {
        ...bare,
        range: [shown.length - 0.5, -0.5],
        tickvals: rows,
        ticktext: shown.map((index) => escaped(shortened(this.other.labels[index]))),
      },
    };
    return { data: [trace], layout };
  }
}
