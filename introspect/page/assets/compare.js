// The compare view: one head in two records, and the difference on the tokens that both have.
import { compareFigure } from "./compare-figure.js";
import { CompareOverview } from "./compare-overview.js";
import { rowTable } from "./compare-row.js";
import { CompareSentences } from "./compare-sentences.js";
import { CompareState } from "./compare-state.js";
import { CompareWords } from "./compare-words.js";
import { ARROWS, choice, scaleChoice } from "./controls.js";
import { announce, element, figure } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { scaleLegend } from "./head-grid.js";
import { layerChoice } from "./heads.js";
import { readLink, writeLink } from "./link.js";
import { MatrixPanel } from "./matrix.js";
import { cellSize, gridOf, hasMissing, largestOf, poolingWords } from "./matrix-grid.js";
import { onWidth } from "./plot.js";
import { selectionOf } from "./selection.js";
import { onTheme, themed } from "./theme.js";

const GAP = 28;
// As many maps in a row as leave room for the label of each token.
const LEAST_CELL = 14;
// The colors of the difference reach at least so far.
const LEAST_SCALE = 0.05;
const LARGEST_CELL = 22;

/** Build the view in its section. */
export function mountCompareView(section, style, record, others) {
  new CompareView(section, style, [record, others[0]]).build();
}

class CompareView {
  constructor(section, style, records) {
    Object.assign(this, { section, style, records });
    const isSelf = records[0].keys === records[0].queries;
    this.state = new CompareState(style, records);
    this.state.fromLink(readLink(section.id));
    this.sentences = new CompareWords(this.state);
    this.pointed = [null, null];
    this.width = 0;
    const { rows, heads, queries, token } = this.state;
    const first = { row: rows[0], head: heads[0], query: queries.index(token, 0) };
    this.selection = selectionOf(records[0], first);
    this.texts = new CompareSentences(this.state, {
      choose: (side, place) => this.chooseWord(side, place),
      point: (side, place) => this.point(side === "key" && !isSelf ? [null, place] : [place, null]),
    });
  }

  build() {
    const { section } = this;
    this.reading = element("p", { class: "reading", "aria-live": "polite" });
    this.panels = [0, 1, 2].map((panel) => this.panel(panel));
    this.titles = this.panels.map(() => element("h3", {}));
    this.maps = element(
      "div",
      { class: "compare-maps" },
      this.panels.map((panel, number) =>
        element("div", { class: "compare-map", "data-panel": "abd"[number] }, [
          this.titles[number],
          panel.root,
        ]),
      ),
    );
    this.legend = element("div", { class: "compare-legend" });
    this.table = rowTable(this.state.keys, this.state.names);
    section.append(
      ...this.opening(),
      this.texts.root,
      element("div", { class: "controls" }, this.controls()),
      this.reading,
      this.maps,
      this.legend,
      element("div", { class: "compare-below" }, [this.table.root, ...this.below()]),
    );
    section.addEventListener("keydown", (event) => this.onKey(event));
    onWidth(this.maps, (width) => {
      this.width = width;
      this.update();
    });
    onTheme(() => {
      this.update();
      this.overview?.draw();
    });
    this.update();
    this.connect();
  }

  /** The head and the words of A are what is chosen on the page. */
  connect() {
    const { state } = this;
    state.key = this.placeOf("keys", this.selection.key);
    this.take = (changed) => this.follow(changed);
    this.selection.follow(this.take);
  }

  /** What was chosen elsewhere on the page. */
  follow(changed) {
    const { state } = this;
    const { row = state.rows[0], head = state.heads[0], query } = changed;
    const place = this.placeOf("queries", query ?? null);
    const isRead = ["row", "head", "key", "granularity"].some((name) => name in changed);
    if (!isRead && place === null) return;
    state.choose(0, row, head);
    if ("query" in changed || "key" in changed) this.isPairRead = false;
    if ("key" in changed) state.key = this.placeOf("keys", changed.key);
    this.apply(place === null ? {} : { token: place });
  }

  /** The place of a token of A; null for none. */
  placeOf(side, token) {
    const place = this.state[side].pairs.findIndex(([a]) => a === token && a !== null);
    return place === -1 ? null : place;
  }

  /** All heads, where a head of one answers to a head of the other. */
  below() {
    if (!this.state.isOneChoice) return [];
    this.overview = new CompareOverview(this.state, (row, head) => this.choose(0, row, head));
    return [this.overview.root];
  }

  /** What must be known first. */
  opening() {
    const notices = this.style.notices.map((text) => element("p", { class: "notice" }, text));
    if (this.style.note) notices.push(element("p", { class: "lead" }, this.style.note));
    return notices;
  }

  /** A word of either text was chosen. */
  chooseWord(side, place) {
    this.state.chooseToken(side, place);
    const { key, keys } = this.state;
    this.isPairRead = key !== null;
    this.set({}, { key: key === null ? null : keys.index(key, 0), pins: [] });
  }

  controls() {
    this.choices = this.state.sides.map((side) => this.sideControls(side));
    this.wholeButton = element(
      "button",
      { type: "button", class: "plain", name: "whole" },
      "Whole",
    );
    this.wholeButton.addEventListener("click", () => this.set({ block: null }));
    const save = exportButtons(
      "compare-view",
      () => compareFigure(this),
      () => ({ head: this.state.headWords(), weights: "raw weights" }),
    );
    return [
      ...this.choices.flatMap(({ layer, head }) => [layer.root, head.root]),
      scaleChoice(this.state.scale, (scale) => this.set({ scale })).root,
      this.wholeButton,
      save,
    ];
  }

  sideControls(side) {
    const record = this.records[side];
    const ending = side === 0 ? "" : "-b";
    const of = this.state.isOneChoice ? "" : ` of ${this.state.names[side]}`;
    const layer = layerChoice(record, {
      name: `layer${ending}`,
      label: `Layer${of}`,
      value: this.state.rows[side],
      change: (row) => this.choose(side, row, this.state.heads[side]),
    });
    const head = choice({
      name: `head${ending}`,
      label: `Head${of}`,
      options: Array.from({ length: record.numHeads }, (_, one) => [String(one), String(one)]),
      value: String(this.state.heads[side]),
      change: (one) => this.choose(side, this.state.rows[side], Number(one)),
    });
    return { layer, head };
  }

  /** Choose a head of A or of B. */
  choose(side, row, head) {
    this.state.choose(side, row, head);
    this.set({});
  }

  set(change, words = {}) {
    if (!("key" in words)) this.isPairRead = false;
    this.apply(change);
    const { rows, heads, queries, token } = this.state;
    const [query] = queries.pairs[token];
    // What only B has, the choice about A cannot name.
    const named = query === null ? {} : { query };
    this.selection.set({ row: rows[0], head: heads[0], ...words, ...named }, this.take);
  }

  apply(change) {
    Object.assign(this.state, change);
    this.choices.forEach(({ layer, head }, side) => {
      layer.show(String(this.state.rows[side]));
      head.show(String(this.state.heads[side]));
    });
    this.update();
  }

  /** Arrows change layer and head: of B where its map has the focus and its heads are its own. */
  onKey(event) {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && this.state.block) this.set({ block: null });
    if (!ARROWS[event.key] || event.target.closest("input, select, .head-grid, .compare-row"))
      return;
    event.preventDefault();
    const isB = event.target.closest('[data-panel="b"]') !== null;
    this.step(isB && !this.state.isOneChoice ? 1 : 0, ...ARROWS[event.key]);
  }

  step(side, down, right) {
    this.state.step(side, down, right);
    this.set({});
    announce(`${this.state.headWords()}. ${this.reading.textContent}`);
  }

  panel(number) {
    const axes = {
      query: this.state.queries.axis(number, this.state.names),
      key: this.state.keys.axis(number, this.state.names),
    };
    return new MatrixPanel(axes, {
      point: (cell) => this.point(cell ?? [null, null]),
      token: (side, place) => this.point(side === "query" ? [place, null] : [null, place]),
      select: (block) => {
        this.state.select(block);
        this.set({});
      },
      press: (query) => this.set({ token: query }),
      pressToken: (side, place) => {
        if (side === "query") this.set({ token: place });
      },
      step: (down, right) =>
        this.step(number === 1 && !this.state.isOneChoice ? 1 : 0, down, right),
    });
  }

  update() {
    this.wholeButton.disabled = this.state.block === null;
    writeLink(this.section.id, this.state.toLink());
    this.pointed = [null, null];
    this.texts.pointed = null;
    this.showTitles();
    this.texts.show(this.selection.granularity);
    this.say();
    this.table.show(
      this.state.queries,
      this.state.token,
      [0, 1, 2].map((panel) => this.state.values(this.state.token, panel)),
    );
    this.overview?.mark(this.state.rows[0], this.state.heads[0]);
    if (this.width > 0) this.draw();
  }

  showTitles() {
    const [a, b] = this.state.names;
    const heads = [0, 1].map((side) => this.state.headOf(side));
    const both = heads[0] === heads[1] ? heads[0] : `${heads[1]} − ${heads[0]}`;
    [
      [a, heads[0]],
      [b, heads[1]],
      [`${b} − ${a}`, both],
    ].forEach(([name, head], panel) => {
      this.titles[panel].replaceChildren(
        element("bdi", { class: "compare-name" }, name),
        element("span", { class: "aside" }, head),
      );
    });
  }

  /** The room that labels need, the same in all maps, and the size of a cell. */
  measure() {
    const rooms = Object.fromEntries(
      ["query", "key"].map((side) => [side, Math.max(...this.panels.map((p) => p.rooms[side]))]),
    );
    for (const { root } of this.panels) {
      root.style.setProperty("--label-width", `${rooms.query}px`);
      root.style.setProperty("--label-height", `${rooms.key}px`);
    }
    const sizes = [3, 2, 1].map((columns) => {
      const room = (this.width - (columns - 1) * GAP) / columns - rooms.query - 2;
      return { columns, size: cellSize(Math.max(room, 1), this.state.seen, 1, LARGEST_CELL) };
    });
    const chosen = sizes.find(({ size }) => size.cell >= LEAST_CELL) ?? sizes.at(-1);
    this.maps.style.setProperty("--columns", String(chosen.columns));
    return chosen.size;
  }

  draw() {
    const { panels, style } = this;
    const block = this.state.seen;
    const size = this.measure();
    const isFarther = (a, b) => Math.abs(a) > Math.abs(b);
    this.grids = panels.map((_, panel) =>
      gridOf(block, size.factor, (query) => this.state.values(query, panel), isFarther),
    );
    this.ranges = this.rangesOf(this.grids);
    panels.forEach((panel, number) => {
      panel.show({
        block,
        ...size,
        grid: this.grids[number],
        range: this.ranges[number],
        colorscale: themed(number === 2 ? style.difference : style.scale),
        label: `${this.titles[number].textContent}. Arrow keys change layer and head, with Shift they go from cell to cell, Enter chooses the row.`,
      });
      panel.press("query", [this.state.token]);
    });
    this.showLegend(size.factor);
  }

  /** A and B share one scale; that of the difference reaches as far to both sides as it changes. */
  rangesOf(grids) {
    const isWhole = this.state.scale === "one";
    const most = isWhole ? 1 : Math.max(largestOf(grids[0]), largestOf(grids[1])) || 1;
    // Few changes come near 1; the smallest, which say nothing, keep little color.
    const change = Math.max(largestOf(grids[2]), LEAST_SCALE);
    return [
      [0, most],
      [0, most],
      [-change, change],
    ];
  }

  showLegend(factor) {
    const { style, ranges } = this;
    const { names } = this.state;
    const text = (value) => (value === 1 ? "1" : figure(value));
    const change = text(ranges[2][1]);
    const hatched = this.grids.some(hasMissing)
      ? "Hatched: a token that one of the two does not have, or a missing weight."
      : "";
    const reach =
      ranges[2][1] > LEAST_SCALE
        ? `The colors of the difference reach to ±${change}, the largest here.`
        : `The colors of the difference reach to ±${change}.`;
    const notes = [reach, poolingWords(factor), hatched].filter(Boolean).join(" ");
    this.legend.replaceChildren(
      element("div", { class: "compare-scales" }, [
        scaleLegend(style.scale, "weight 0", text(ranges[0][1])),
        scaleLegend(
          style.difference,
          `${names[0]} gives more −${change}`,
          `+${change} ${names[1]} gives more`,
        ),
      ]),
      element("p", { class: "matrix-note" }, notes),
    );
  }

  point(cell) {
    this.pointed = cell;
    this.texts.point(cell[0]);
    for (const panel of this.panels)
      panel.point(cell[0] === null && cell[1] === null ? null : cell);
    this.say();
  }

  say() {
    const { token, key } = this.state;
    const isPointed = this.pointed.some((place) => place !== null);
    const isPair = this.isPairRead && !isPointed;
    this.reading.textContent = this.sentences.sentence(isPair ? [token, key] : this.pointed);
  }
}
