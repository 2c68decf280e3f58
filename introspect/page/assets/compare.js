// The compare view: one head in two records, and the difference on the tokens that both have.
import { choice } from "./controls.js";
import { announce, element, figure, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { headGrid, scaleLegend } from "./head-grid.js";
import {
  blockFrom,
  blockToLink,
  cellSize,
  escaped,
  figureSide,
  gridOf,
  hasMissing,
  largestOf,
  layerChoice,
  MatrixPanel,
  matrixFigure,
  poolingWords,
  rowOf,
  SCALES,
  shortened,
} from "./heatmap.js";
import { readLink, writeLink } from "./link.js";
import { draw, onWidth } from "./plot.js";
import { colourOf, onTheme, themed } from "./theme.js";

const GAP = 28;
// As many maps in a row as leave room for the label of each token.
const LEAST_CELL = 14;
const OVERVIEW_CELL = 26;
const NAMED = 3;
// So that a sentence fits into the room that is kept for it.
const LONGEST_NAME = 20;
const LONGEST_LIST = 150;
const RANKED = 8;
// Smaller changes are not named: two decimals would not show them.
const LEAST_CHANGE = 0.005;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** Build the view in its section. */
export function mountCompareView(section, style, record, others) {
  new CompareView(section, style, [record, others[0]]).build();
}

/** The tokens of two records in one order: each place has a token of A, of B or of both. */
class Places {
  constructor(pairs, sequences) {
    Object.assign(this, { pairs, sequences });
    this.length = pairs.length;
    this.whole = [0, pairs.length - 1];
    this.differing = pairs.map((_, place) => place).filter((place) => this.differs(place));
  }

  /** The index of a place's token in A (0) or in B (1); null if there is none. */
  index(place, side) {
    return this.pairs[place][side];
  }

  label(place, side) {
    const index = this.index(place, side);
    return index === null ? null : this.sequences[side].labels[index];
  }

  isShared(place) {
    return !this.pairs[place].includes(null);
  }

  differs(place) {
    return this.label(place, 0) !== this.label(place, 1);
  }

  /** "tired → wide" where the two differ. */
  name(place) {
    const labels = [this.label(place, 0), this.label(place, 1)].filter((label) => label !== null);
    return this.isShared(place) && this.differs(place) ? labels.join(" → ") : labels[0];
  }

  /** The side of a panel, as a matrix needs it; panel 2 is the difference. */
  axis(panel, names) {
    const all = this.pairs.map((_, place) => place);
    const sideOf = (place) => (panel < 2 ? panel : this.index(place, 1) === null ? 0 : 1);
    const of = (name) => (place) => {
      const index = this.index(place, sideOf(place));
      return index === null ? 0 : this.sequences[sideOf(place)][name][index];
    };
    return {
      // Of the difference the label is B's; the whole is said when it is pointed at.
      labels: all.map((place) => this.label(place, sideOf(place))),
      tokens: all.map((place) => this.index(place, sideOf(place))),
      notes: all.map((place) => this.note(place, panel, names)),
      special: all.map(of("special")),
      unknown: all.map(of("unknown")),
    };
  }

  note(place, panel, names) {
    if (!this.differs(place)) return null;
    if (!this.isShared(place)) return `only in ${names[this.index(place, 0) === null ? 1 : 0]}`;
    const other = panel === 0 ? 1 : 0;
    return `“${this.label(place, other)}” in ${names[other]}`;
  }
}

class CompareView {
  constructor(section, style, records) {
    Object.assign(this, { section, style, records, names: style.labels });
    this.shortNames = style.labels.map((label) => shortened(label, LONGEST_NAME));
    this.isOneChoice = style.changes !== null;
    this.queries = new Places(
      style.queries,
      records.map((record) => record.queries),
    );
    this.keys = new Places(
      style.keys ?? style.queries,
      records.map((record) => record.keys),
    );
    this.whole = { query: this.queries.whole, key: this.keys.whole };
    this.first = {
      rows: records.map((record, side) => record.layers.indexOf(style.layers[side])),
      heads: [...style.heads],
      token: style.token,
      scale: "one",
    };
    this.state = structuredClone({ ...this.first, block: null });
    this.pointed = [null, null];
    this.width = 0;
    this.fromLink(readLink(section.id));
  }

  get block() {
    return this.state.block ?? this.whole;
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
    this.table = rowTable(this.keys, this.names);
    section.append(
      ...this.words(),
      element("div", { class: "controls" }, this.controls()),
      this.reading,
      this.maps,
      this.legend,
      element("div", { class: "compare-below" }, [this.table.root, ...this.overview()]),
    );
    section.addEventListener("keydown", (event) => this.onKey(event));
    onWidth(this.maps, (width) => {
      this.width = width;
      this.update();
    });
    onTheme(() => {
      this.update();
      this.drawOverview();
    });
    this.update();
  }

  /** What must be known first, and the two texts with what differs in them. */
  words() {
    const notices = this.style.notices.map((text) => element("p", { class: "notice" }, text));
    if (this.style.note) notices.push(element("p", { class: "lead" }, this.style.note));
    if (this.style.sentences.length === 0) return notices;
    const lines = this.style.sentences.flatMap((parts, side) => [
      element("dt", {}, element("bdi", {}, this.names[side])),
      element(
        "dd",
        { dir: "auto" },
        parts.map(([text, differs]) => (differs ? element("em", {}, text) : text)),
      ),
    ]);
    return [...notices, element("dl", { class: "compare-texts" }, lines)];
  }

  // Controls

  controls() {
    const sides = this.isOneChoice ? [0] : [0, 1];
    this.choices = sides.map((side) => this.sideControls(side));
    this.scaleChoice = choice({
      name: "scale",
      label: "Colours",
      options: SCALES,
      value: this.state.scale,
      change: (scale) => this.set({ scale }),
    });
    this.wholeButton = element(
      "button",
      { type: "button", class: "plain", name: "whole" },
      "Whole",
    );
    this.wholeButton.addEventListener("click", () => this.set({ block: null }));
    const save = exportButtons("compare-view", () => this.figure());
    return [
      ...this.choices.flatMap(({ layer, head }) => [layer.root, head.root]),
      this.scaleChoice.root,
      this.wholeButton,
      save,
    ];
  }

  sideControls(side) {
    const record = this.records[side];
    const ending = side === 0 ? "" : "-b";
    const of = this.isOneChoice ? "" : ` of ${this.names[side]}`;
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

  /** Choose a head of A or of B; of both, where they have the same heads. */
  choose(side, row, head) {
    const rows = [...this.state.rows];
    const heads = [...this.state.heads];
    for (const one of this.isOneChoice ? [0, 1] : [side]) {
      rows[one] = row;
      heads[one] = head;
    }
    this.set({ rows, heads });
  }

  set(change) {
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
    if (!STEPS[event.key] || event.target.closest("input, select, .head-grid, .compare-row"))
      return;
    event.preventDefault();
    const isB = event.target.closest('[data-panel="b"]') !== null;
    this.step(isB && !this.isOneChoice ? 1 : 0, ...STEPS[event.key]);
  }

  step(side, down, right) {
    const { numLayers, numHeads } = this.records[side];
    const within = (value, end) => Math.min(Math.max(value, 0), end - 1);
    const row = within(this.state.rows[side] + down, numLayers);
    this.choose(side, row, within(this.state.heads[side] + right, numHeads));
    announce(`${this.headWords()}. ${this.reading.textContent}`);
  }

  /** L3H1, or of two models with their own heads "A L3H1, B L0H2". */
  headWords() {
    const names = [0, 1].map((side) => this.headOf(side));
    if (this.isOneChoice) return names[0];
    return names.map((name, side) => `${this.shortNames[side]} ${name}`).join(", ");
  }

  headOf(side) {
    return headName(this.records[side].layers[this.state.rows[side]], this.state.heads[side]);
  }

  // Numbers

  /** What the query at a place gives to each key place, in A or in B; NaN for no token. */
  rowAt(query, side) {
    const values = new Float64Array(this.keys.length).fill(Number.NaN);
    const index = this.queries.index(query, side);
    if (index === null) return values;
    const row = rowOf(this.records[side], this.state.rows[side], this.state.heads[side], index);
    this.keys.pairs.forEach((pair, place) => {
      if (pair[side] !== null) values[place] = row[pair[side]];
    });
    return values;
  }

  values(query, panel) {
    if (panel < 2) return this.rowAt(query, panel);
    const a = this.rowAt(query, 0);
    return this.rowAt(query, 1).map((value, key) => value - a[key]);
  }

  // Maps

  panel(number) {
    const axes = {
      query: this.queries.axis(number, this.names),
      key: this.keys.axis(number, this.names),
    };
    return new MatrixPanel(axes, {
      point: (cell) => this.point(cell ?? [null, null]),
      token: (side, place) => this.point(side === "query" ? [place, null] : [null, place]),
      select: (block) => this.select(block),
      press: (query) => this.set({ token: query }),
      pressToken: (side, place) => {
        if (side === "query") this.set({ token: place });
      },
      step: (down, right) => this.step(number === 1 && !this.isOneChoice ? 1 : 0, down, right),
    });
  }

  select(block) {
    this.set({ block: Object.values(blockToLink(block, this.whole)).some(Boolean) ? block : null });
  }

  update() {
    this.wholeButton.disabled = this.state.block === null;
    this.toLink();
    this.pointed = [null, null];
    this.showTitles();
    this.say();
    this.table.show(
      this.queries,
      this.state.token,
      [0, 1, 2].map((panel) => this.values(this.state.token, panel)),
    );
    this.grid?.mark(this.state.rows[0], this.state.heads[0]);
    if (this.width > 0) this.draw();
  }

  showTitles() {
    const [a, b] = this.names;
    const heads = [0, 1].map((side) => this.headOf(side));
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
      return { columns, size: cellSize(Math.max(room, 1), this.block, 1) };
    });
    const chosen = sizes.find(({ size }) => size.cell >= LEAST_CELL) ?? sizes.at(-1);
    this.maps.style.setProperty("--columns", String(chosen.columns));
    return chosen.size;
  }

  draw() {
    const { block, panels, style } = this;
    const size = this.measure();
    const isFarther = (a, b) => Math.abs(a) > Math.abs(b);
    this.grids = panels.map((_, panel) =>
      gridOf(block, size.factor, (query) => this.values(query, panel), isFarther),
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

  /** A and B share one scale; that of the difference is as wide to both sides. */
  rangesOf(grids) {
    const isWhole = this.state.scale === "one";
    const most = isWhole ? 1 : Math.max(largestOf(grids[0]), largestOf(grids[1])) || 1;
    const change = isWhole ? 1 : largestOf(grids[2]) || 1;
    return [
      [0, most],
      [0, most],
      [-change, change],
    ];
  }

  showLegend(factor) {
    const { style, ranges, names } = this;
    const text = (value) => (value === 1 ? "1" : figure(value));
    const change = text(ranges[2][1]);
    const hatched = this.grids.some(hasMissing)
      ? "Hatched: a token that one of the two does not have, or a missing weight."
      : "";
    const notes = [poolingWords(factor), hatched].filter(Boolean).join(" ");
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
    for (const panel of this.panels)
      panel.point(cell[0] === null && cell[1] === null ? null : cell);
    this.say();
  }

  // Words

  say() {
    const [query, key] = this.pointed;
    if (query !== null && key !== null) this.reading.textContent = this.cellSentence(query, key);
    else if (key !== null) this.reading.textContent = this.keySentence(key);
    else this.reading.textContent = this.rowSentence(query ?? this.state.token);
  }

  named(places, place) {
    return `“${shortened(places.name(place), LONGEST_NAME)}”`;
  }

  labelled(places, place, side) {
    return `“${shortened(places.label(place, side), LONGEST_NAME)}”`;
  }

  cellSentence(query, key) {
    const [a, b, change] = [0, 1, 2].map((panel) => this.values(query, panel)[key]);
    const pair = `${this.named(this.queries, query)} → ${this.named(this.keys, key)}`;
    const [left, right] = [a, b].map((value, side) => {
      const isThere =
        this.queries.index(query, side) !== null && this.keys.index(key, side) !== null;
      return `${this.shortNames[side]} ${isThere ? figure(value) : "–"}`;
    });
    const difference = Number.isNaN(change) ? "no difference to state" : signed(change);
    return `${pair}: ${left}, ${right}, difference ${difference} (${this.headWords()}).`;
  }

  /** What a query token does otherwise in B, the largest change first. */
  rowSentence(query) {
    const rows = [0, 1, 2].map((panel) => this.values(query, panel));
    if (!this.queries.isShared(query)) return this.loneSentence(query, rows);
    const changes = this.changesOf(rows[2]);
    const opening = `${this.opening(query)} gives`;
    const end = ` (${this.headWords()}).`;
    if (changes.length === 0 && rows[2].every(Number.isNaN)) return `${opening}: missing${end}`;
    const alone = this.aloneIn(rows);
    if (changes.length === 0 && !alone) {
      return `${opening} each token the same, within ${LEAST_CHANGE}${end}`;
    }
    const parts = leading(changes, (key) => this.changeWords(key, rows[0], rows[1]));
    return `${opening} ${[listed(parts), alone].filter(Boolean).join("; ")}${end}`;
  }

  opening(query) {
    const { differing } = this.keys;
    const [only] = differing;
    if (this.queries.differs(query)) {
      const [a, b] = [0, 1].map((side) => this.labelled(this.queries, query, side));
      return `${b} in place of ${a}`;
    }
    const isOneWord = differing.length === 1 && this.keys.isShared(only);
    const where = isOneWord
      ? `With ${this.labelled(this.keys, only, 1)}`
      : `In ${this.shortNames[1]}`;
    return `${where}, ${this.named(this.queries, query)}`;
  }

  /** Places whose weight changes, by how much. */
  changesOf(differences) {
    const places = Array.from(differences.keys());
    return places
      .filter((place) => Math.abs(differences[place]) >= LEAST_CHANGE)
      .sort((one, two) => Math.abs(differences[two]) - Math.abs(differences[one]));
  }

  changeWords(key, a, b) {
    const { keys } = this;
    if (!keys.differs(key))
      return `${this.named(keys, key)} ${figure(b[key])} instead of ${figure(a[key])}`;
    const [left, right] = [0, 1].map((side) => this.labelled(keys, key, side));
    return `${right} ${figure(b[key])} instead of ${left} ${figure(a[key])}`;
  }

  /** The largest weight to a token that only one of the two has. */
  aloneIn(rows) {
    const found = this.keys.pairs
      .map((pair, place) => ({ place, side: pair[0] === null ? 1 : 0 }))
      .filter(({ place, side }) => !this.keys.isShared(place) && rows[side][place] >= LEAST_CHANGE)
      .sort((one, two) => rows[two.side][two.place] - rows[one.side][one.place]);
    if (found.length === 0) return "";
    const [{ place, side }] = found;
    return `${this.named(this.keys, place)}, only in ${this.shortNames[side]}, gets ${figure(rows[side][place])}`;
  }

  loneSentence(query, rows) {
    const side = this.queries.index(query, 0) === null ? 1 : 0;
    const strongest = Array.from(rows[side].keys())
      .filter((key) => !Number.isNaN(rows[side][key]))
      .sort((one, two) => rows[side][two] - rows[side][one])
      .slice(0, NAMED)
      .map((key) => `${this.labelled(this.keys, key, side)} ${figure(rows[side][key])}`);
    const most = strongest.length > 0 ? `It gives most to ${listed(strongest)}` : "It is missing";
    return `${this.named(this.queries, query)} is only in ${this.shortNames[side]}: there is no row to compare. ${most} (${this.headWords()}).`;
  }

  /** From which queries a key token gets more or less. */
  keySentence(key) {
    const name = this.named(this.keys, key);
    if (!this.keys.isShared(key)) {
      const side = this.keys.index(key, 0) === null ? 1 : 0;
      return `${name} is only in ${this.shortNames[side]}.`;
    }
    const rows = this.queries.pairs.map((_, query) =>
      [0, 1].map((side) => this.rowAt(query, side)[key]),
    );
    const changes = this.changesOf(Float64Array.from(rows, ([a, b]) => b - a));
    if (changes.length === 0)
      return `${name} gets the same from each token, within ${LEAST_CHANGE} (${this.headWords()}).`;
    const parts = leading(changes, (query) => {
      const [a, b] = rows[query].map(figure);
      return `${b} instead of ${a} from ${this.named(this.queries, query)}`;
    });
    return `In ${this.shortNames[1]}, ${name} gets ${listed(parts)} (${this.headWords()}).`;
  }

  // All heads

  overview() {
    const { style, records } = this;
    if (!this.isOneChoice) return [];
    const [{ layers, numHeads }] = records;
    this.largest = Math.max(...style.changes.flat().map((value) => value ?? 0));
    const say = (row, head) => `change ${figure(style.changes[row][head] ?? Number.NaN)}`;
    const pointed = element("p", { class: "matrix-note" });
    this.grid = headGrid(layers, numHeads, say, {
      choose: (row, head) => this.choose(0, row, head),
      point: (row, head) => {
        pointed.textContent = `${headName(layers[row], head)}: ${say(row, head)}`;
      },
    });
    this.grid.root.style.setProperty("--cell-height", `${OVERVIEW_CELL}px`);
    onWidth(this.grid.picture.parentElement, () => this.drawOverview());
    const root = element("div", { class: "compare-overview" }, [
      element("h3", {}, "How much each head changes"),
      element("p", { class: "note" }, this.overviewWords()),
      this.grid.root,
      scaleLegend(style.scale, "change 0", this.largest > 0 ? figure(this.largest) : "1"),
      this.ranking(),
      pointed,
    ]);
    return [root];
  }

  overviewWords() {
    const count = this.queries.pairs.filter((pair) => !pair.includes(null)).length;
    const missing = this.style.changes.flat().includes(null) ? " Without a colour: missing." : "";
    const queries = count === 1 ? "the one query" : `the ${count} queries`;
    return `The share of a token’s attention that goes elsewhere: total variation, ½ Σ |b − a| over the keys that both have, in the mean over ${queries} that both have; from 0 (nothing changes) to 1 (everything).${missing}`;
  }

  drawOverview() {
    if (!this.grid) return;
    const { picture } = this.grid;
    const width = picture.parentElement.clientWidth;
    if (width === 0) return;
    const [{ numLayers, numHeads }] = this.records;
    const trace = {
      type: "heatmap",
      z: this.style.changes,
      zmin: 0,
      zmax: this.largest || 1,
      colorscale: themed(this.style.scale),
      showscale: false,
      xgap: 2,
      ygap: 2,
      hoverinfo: "skip",
    };
    const height = OVERVIEW_CELL * numLayers;
    draw(picture, [trace], {
      x: [-0.5, numHeads - 0.5],
      y: [numLayers - 0.5, -0.5],
      width,
      height,
    });
  }

  /** The heads that change most, each a button. */
  ranking() {
    const { style, records } = this;
    const ranked = style.changes
      .flatMap((line, row) => line.map((value, head) => ({ value, row, head })))
      .filter(({ value }) => value !== null)
      .sort((one, two) => two.value - one.value)
      .slice(0, RANKED);
    const buttons = ranked.map(({ value, row, head }) => {
      const name = headName(records[0].layers[row], head);
      const button = element("button", { type: "button", class: "plain" }, [
        name,
        element("span", { class: "aside" }, figure(value)),
      ]);
      button.addEventListener("click", () => this.choose(0, row, head));
      return button;
    });
    const label = element("span", { class: "label" }, "Most changed");
    return element("div", { class: "compare-ranking" }, [label, ...buttons]);
  }

  // The address

  toLink() {
    const { state, first, records } = this;
    const differs = (now, before, value) => (now === before ? null : value);
    const sides = this.isOneChoice ? [0] : [0, 1];
    const link = {};
    for (const side of sides) {
      const ending = side === 0 ? "" : "-b";
      const layer = records[side].layers[state.rows[side]];
      link[`layer${ending}`] = differs(state.rows[side], first.rows[side], layer);
      link[`head${ending}`] = differs(state.heads[side], first.heads[side], state.heads[side]);
    }
    writeLink(this.section.id, {
      ...link,
      token: differs(state.token, first.token, this.tokenName(state.token)),
      scale: differs(state.scale, first.scale, state.scale),
      ...blockToLink(state.block, this.whole),
    });
  }

  /** A query as the address names it: a3 is token 3 of A, b3 one that only B has. */
  tokenName(place) {
    const [a, b] = this.queries.pairs[place];
    return a === null ? `b${b}` : `a${a}`;
  }

  fromLink(link) {
    const { state, records } = this;
    for (const side of this.isOneChoice ? [0] : [0, 1]) {
      const ending = side === 0 ? "" : "-b";
      const row = records[side].layers.indexOf(Number(link[`layer${ending}`] ?? Number.NaN));
      const head = Number(link[`head${ending}`] ?? Number.NaN);
      if (row !== -1) state.rows[side] = row;
      if (Number.isInteger(head) && head >= 0 && head < records[side].numHeads) {
        state.heads[side] = head;
      }
    }
    if (this.isOneChoice) {
      state.rows[1] = state.rows[0];
      state.heads[1] = state.heads[0];
    }
    const token = this.queries.pairs.findIndex((_, place) => this.tokenName(place) === link.token);
    if (token !== -1) state.token = token;
    if (SCALES.some(([name]) => name === link.scale)) state.scale = link.scale;
    state.block = blockFrom(link, this.whole);
  }

  // To be saved

  /** The three maps beside each other as one figure. */
  figure() {
    const { block, panels, style } = this;
    const room = Math.max(...panels.map((panel) => panel.rooms.query));
    const side = figureSide(block.key);
    const step = side + room + 40;
    const across = 2 * step + side;
    const bars = ["weight", `${this.names[1]} − ${this.names[0]}`].map((text, place) => ({
      title: { text: escaped(shortened(text, 24)) },
      thickness: 12,
      outlinewidth: 0,
      x: 1 + (20 + place * 110) / across,
      xanchor: "left",
    }));
    const parts = panels.map((panel, number) =>
      matrixFigure(panel, this.grids[number], {
        range: this.ranges[number],
        colorscale: themed(number === 2 ? style.difference : style.scale),
        title: escaped(this.titleText(number)),
        colorbar: [undefined, bars[0], bars[1]][number],
        number: number === 0 ? "" : String(number + 1),
      }),
    );
    const axes = Object.assign({}, ...parts.map((part) => part.axes));
    parts.forEach((_, number) => {
      const ending = number === 0 ? "" : String(number + 1);
      const start = number * step;
      Object.assign(axes[`xaxis${ending}`], {
        domain: [start / across, (start + side) / across],
        anchor: `y${ending}`,
      });
      axes[`yaxis${ending}`].anchor = `x${ending}`;
    });
    const top = Math.max(...panels.map((panel) => panel.rooms.key)) + 70;
    const layout = {
      width: across + room + 20 + 240,
      height: figureSide(block.query) + top + 20,
      margin: { l: room + 20, r: 240, t: top, b: 20 },
      paper_bgcolor: colourOf("paper"),
      plot_bgcolor: colourOf("paper"),
      font: { color: colourOf("ink"), size: 13 },
      ...axes,
    };
    return { data: parts.map(({ trace }) => trace), layout };
  }

  titleText(panel) {
    const [name, head] = [...this.titles[panel].children].map((part) => part.textContent);
    return `${shortened(name, 40)}, ${head}`;
  }
}

/** −0.40, +0.12, 0.00. */
function signed(value) {
  const text = Math.abs(value).toFixed(2);
  if (text === "0.00") return text;
  return `${value < 0 ? "−" : "+"}${text}`;
}

/** The first of a list in words, as many as a sentence has room for. */
function leading(list, words) {
  const parts = list.slice(0, NAMED).map(words);
  while (parts.length > 1 && parts.join().length > LONGEST_LIST) parts.pop();
  return parts;
}

/** "a, b and c" */
function listed(parts) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

/** One row in both: for each key paired bars, the two weights and their difference. */
function rowTable(keys, names) {
  const caption = element("caption", {});
  const headings = ["Key", "", names[0], names[1], "B − A"].map((name, place) =>
    place === 1
      ? element("td", {})
      : element(
          "th",
          { scope: "col" },
          element("bdi", {}, place === 4 ? `${names[1]} − ${names[0]}` : name),
        ),
  );
  const lines = keys.pairs.map((_, place) => rowLine(keys, place));
  const table = element("table", {}, [
    caption,
    element("thead", {}, element("tr", {}, headings)),
    element(
      "tbody",
      {},
      lines.map(({ root }) => root),
    ),
  ]);
  const label = "One row in both";
  const root = element(
    "div",
    { class: "compare-row", tabindex: 0, role: "region", "aria-label": label },
    table,
  );

  function show(queries, token, rows) {
    caption.replaceChildren("What “", element("bdi", {}, queries.name(token)), "” gives");
    lines.forEach(({ write }, place) => {
      const values = rows.map((row) => row[place]);
      write(values, queries.pairs[token]);
    });
  }
  return { root, show };
}

function rowLine(keys, place) {
  const bars = ["a", "b"].map((side) => element("i", { class: `bar ${side}` }));
  const cells = ["a", "b", "difference"].map((name) => element("td", { "data-value": name }));
  const differs = keys.differs(place) ? "true" : null;
  const name = element("bdi", {}, keys.name(place));
  const root = element("tr", {}, [
    element("th", { scope: "row", "data-differs": differs, title: keys.name(place) }, name),
    element("td", { class: "bars-pair", "aria-hidden": "true" }, bars),
    ...cells,
  ]);

  /** A weight of no token is a dash; one that should be there is missing. */
  function write(values, query) {
    const isThere = [0, 1].map((side) => query[side] !== null && keys.index(place, side) !== null);
    isThere.push(isThere[0] && isThere[1]);
    cells.forEach((cell, number) => {
      const text =
        number === 2 && !Number.isNaN(values[2]) ? signed(values[2]) : figure(values[number]);
      cell.textContent = isThere[number] ? text : "–";
    });
    cells[2].classList.toggle("strong", Math.abs(values[2]) >= 0.05);
    bars.forEach((bar, side) => {
      bar.style.setProperty("--share", String(values[side] || 0));
    });
  }
  return { root, write };
}
