// The flow view: the paths by which tokens reach a word through all layers.
import { fitting, oneOf, within } from "./address.js";
import { choice, slider } from "./controls.js";
import { announce, element, figure, headName, quoted } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { FlowCanvas } from "./flow-canvas.js";
import { flowFigure } from "./flow-figure.js";
import { FlowGraph, headParts } from "./flow-graph.js";
import { FlowLabels, rowsOf } from "./flow-rows.js";
import { readLink, writeLink } from "./link.js";
import { counted, percent, whole } from "./numbers.js";
import { NormPattern } from "./patterns.js";
import { onWidth, whenOnScreen } from "./plot.js";
import { selectionOf } from "./selection.js";
import { groupsOf } from "./shares.js";
import { onTheme } from "./theme.js";
import { loadMethods } from "./weighings.js";

const INTO = [
  ["chosen", "the chosen word"],
  ["every", "every token"],
];
// The threshold moves by a factor, or small ones could not be told apart.
const STEPS = 200;
const MOST = 0.9;
// Into every token of a long text, edges below this are more than can be sorted at once.
const LEAST_OF_MANY = 0.01;
const MANY = 100;
const MOST_HEADS = 6;
const LEAST_PART = 0.01;
const MOST_LISTED = 12;
const TWO_QUESTIONS =
  "“Shares by” says how much of itself a token takes from each token in a layer, for these paths; “Weights”, at the top, what one word gives another in a head.";

/** Build the view in its section. */
export async function mountFlowView(section, style, record) {
  await loadMethods(record);
  new FlowView(section, style, record).build();
}

class FlowView {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record });
    const into = style.every ? "every" : "chosen";
    this.selection = selectionOf(record, { query: style.token });
    this.first = { weights: style.weights, threshold: style.threshold, into };
    this.state = { ...this.first };
    this.fromLink(readLink(section.id));
    this.graphs = {};
    this.token = this.selection.query ?? style.token;
    this.pointed = null;
    this.chosen = null;
    this.width = 0;
  }

  build() {
    const { record, section, style } = this;
    const columns = ["input", ...record.layers.map((layer) => `L${layer}`)];
    this.count = element("p", { class: "reading strong" });
    this.reading = element("p", { class: "reading flow-reading" });
    this.labels = new FlowLabels(record.queries, {
      choose: (token) => this.choose(token),
      point: (token) => this.point(token === null ? null : { column: columns.length - 1, token }),
    });
    this.canvas = new FlowCanvas(columns, style.readings);
    this.heads = element("div", { class: "chips flow-heads" });
    this.list = element("ol", { class: "flow-list" });
    const parts = [
      element("div", { class: "controls" }, this.controls()),
      element("div", { class: "flow-say" }, [this.count, this.reading]),
      element("div", { class: "flow" }, [this.labels.root, this.canvas.root]),
      this.heads,
      element("details", { class: "flow-strongest" }, [
        element("summary", {}, "What comes from other tokens"),
        this.list,
      ]),
      Object.keys(record.methods).length > 0
        ? element("p", { class: "note" }, TWO_QUESTIONS)
        : null,
      style.note ? element("p", { class: "note" }, style.note) : null,
    ];
    section.append(...parts.filter(Boolean));
    this.follow();
    this.recount();
    onWidth(this.canvas.root, (width) => {
      this.width = width;
      this.place();
    });
    onTheme(() => this.place());
  }

  controls() {
    const { style, state } = this;
    const options = style.methods.map(({ name, label }) => [name, label]);
    this.weights = choice({
      name: "weights",
      label: "Shares by",
      options,
      value: state.weights,
      change: (weights) => this.change({ weights }),
    });
    this.into = choice({
      name: "into",
      label: "Into",
      options: INTO,
      value: state.into,
      change: (into) => this.change({ into }),
    });
    this.slider = slider({
      name: "threshold",
      label: "Each edge carries at least",
      min: 0,
      max: STEPS,
      step: 1,
      value: this.stepOf(state.threshold),
      say: () => percentOf(this.state.threshold),
      change: (step) => this.drag(this.thresholdOf(step)),
    });
    this.slider.root.querySelector("input").addEventListener("change", () => this.settle());
    const save = exportButtons("flow-view", () => flowFigure(this));
    return [this.slider.root, this.into.root, this.weights.root, save];
  }

  follow() {
    const { root } = this.canvas;
    root.addEventListener("pointermove", (event) => this.onMove(event));
    root.addEventListener("pointerleave", () => this.point(null));
    root.addEventListener("click", (event) => this.onClick(event));
    root.addEventListener("keydown", (event) => this.onKey(event));
    this.selection.listeners.add((changed) => this.onSelection(changed));
  }

  get graph() {
    const { arrays } = this.style;
    const { weights } = this.state;
    this.graphs[weights] ??= new FlowGraph(arrays[weights], arrays[`${weights}-largest`]);
    return this.graphs[weights];
  }

  get least() {
    const { record, state, style } = this;
    return state.into === "every" && record.queryLen > MANY ? LEAST_OF_MANY : style.least;
  }

  thresholdOf(step) {
    return this.least * (MOST / this.least) ** (step / STEPS);
  }

  stepOf(threshold) {
    const part = Math.log(threshold / this.least) / Math.log(MOST / this.least);
    return Math.round(STEPS * Math.min(Math.max(part, 0), 1));
  }

  /** The tokens of the chosen word. */
  get word() {
    const { groups, groupOf } = groupsOf(this.record.queries, this.selection.granularity);
    return groups[groupOf[this.token]];
  }

  change(change) {
    Object.assign(this.state, change);
    this.weights.show(this.state.weights);
    this.chosen = null;
    this.recount();
    this.place();
    this.toLink();
  }

  choose(token) {
    this.selection.set({ query: token, key: null, pins: [] });
  }

  /** Somebody chose other words, or other weights that this view has too. */
  onSelection(changed) {
    const { selection, style, state } = this;
    const isKnown = style.methods.some(({ name }) => name === selection.weights);
    const isOther = "weights" in changed && isKnown && selection.weights !== state.weights;
    if (isOther) state.weights = selection.weights;
    if ("query" in changed && selection.query !== null) this.token = selection.query;
    const isMoved = "query" in changed || "granularity" in changed;
    if (isOther || (isMoved && state.into === "chosen")) this.change({});
  }

  /** The edges anew: another word, or other shares. */
  recount() {
    const { state } = this;
    const word = state.into === "every" ? null : this.word;
    state.threshold = Math.max(state.threshold, this.least);
    this.edges = this.graph.into(word, this.least);
    this.canvas.take(this.edges);
    this.slider.show(this.stepOf(state.threshold));
  }

  /** The rows anew: which tokens are touched, how wide the page is. */
  place() {
    if (this.width === 0) return;
    whenOnScreen(this.canvas.root, () => this.placeRows());
    this.say();
    this.listEdges();
  }

  placeRows() {
    const { record, edges, style, state } = this;
    const count = edges.countFrom(state.threshold);
    const rows = rowsOf(record.queryLen, edges.touched(count), style.readings.length > 0);
    this.labels.show(rows);
    const isSum = state.into === "chosen";
    this.labels.count((token) => (isSum ? edges.amount(0, token) : null), isSum ? this.word : []);
    this.canvas.place(rows, this.width);
    this.draw();
  }

  /** While the threshold is dragged the rows stay. */
  drag(threshold) {
    this.state.threshold = threshold;
    this.slider.show(this.stepOf(threshold));
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.draw();
      this.countWords();
    });
  }

  settle() {
    if (this.chosen && this.chosen.widest < this.state.threshold) this.chosen = null;
    this.place();
    this.toLink();
    announce(this.count.textContent);
  }

  draw() {
    const marked = this.pointed?.widest ? this.pointed : this.chosen;
    this.canvas.draw(this.edges.countFrom(this.state.threshold), marked);
  }

  onMove(event) {
    if (event.pointerType === "touch") return;
    this.point(this.canvas.at(event));
  }

  point(target) {
    if (JSON.stringify(target) === JSON.stringify(this.pointed)) return;
    this.pointed = target;
    this.draw();
    this.say();
  }

  onClick(event) {
    const target = this.canvas.at(event);
    if (target && "column" in target) this.choose(target.token);
    else this.chooseEdge(target);
  }

  chooseEdge(edge) {
    this.chosen = edge;
    this.draw();
    this.say();
    if (edge) announce(this.reading.textContent);
  }

  /** Arrow keys walk through the edges, from the one that carries most. */
  onKey(event) {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") this.chooseEdge(null);
    if (!step) return;
    event.preventDefault();
    const edges = this.drawnEdges();
    const next = edges.indexOf(this.chosen) + step;
    this.pointed = null;
    this.chooseEdge(edges[Math.min(Math.max(next, 0), edges.length - 1)] ?? null);
  }

  /** What is drawn, from the edge that carries most to the one that carries least. */
  drawnEdges() {
    const drawn = this.edges.all.slice(0, this.edges.countFrom(this.state.threshold));
    return drawn.sort((a, b) => b.amount - a.amount);
  }

  // What is said

  say() {
    this.countWords();
    const { pointed, chosen } = this;
    const isEdge = pointed?.widest || (!pointed && chosen);
    this.reading.textContent = isEdge ? this.edgeWords(pointed ?? chosen) : this.nodeWords(pointed);
    this.reading.classList.toggle("hint", !isEdge && !pointed);
    this.showHeads(pointed?.widest ? pointed : chosen);
  }

  countWords() {
    const { state, style, edges } = this;
    const count = edges.countFrom(state.threshold);
    const known = style.methods.find(({ name }) => name === state.weights).edges;
    const of = state.into === "every" ? "of some token" : `of ${this.wordName()}`;
    const cut = edges.isCut && count === edges.all.length ? ", the widest of more" : "";
    this.count.textContent = `${whole(count)} of ${counted(known, "edge")}${cut}, on paths whose every edge carries at least ${percentOf(state.threshold)} ${of}.`;
    const label = `Flow through layers: ${this.count.textContent} Arrow keys walk through the edges.`;
    this.canvas.root.setAttribute("aria-label", label);
  }

  /** The chosen word, in quotes. */
  wordName() {
    const { queries } = this.record;
    const [first] = this.word;
    const number = queries.words[first];
    const isWord = this.selection.granularity === "word" && number !== null;
    return quoted(isWord ? queries.wordTexts[number] : queries.labels[first]);
  }

  name(token) {
    return quoted(this.record.queries.labels[token]);
  }

  edgeWords({ row, query, key, amount }) {
    const { record, state, graph } = this;
    const share = figure(graph.share(row, query, key));
    const took =
      query === key
        ? `${this.name(query)} keeps ${share} of itself`
        : `${this.name(query)} takes ${share} of itself from ${this.name(key)}`;
    const of =
      state.into === "every" ? "of a token at the end" : `of ${this.wordName()} at the end`;
    return `Layer ${record.layers[row]}: ${took}; that is ${percentOf(amount)} ${of}.`;
  }

  nodeWords(node) {
    if (!node) return "Point at a line or a token; click a line for its heads.";
    const { column, token } = node;
    const { record, edges, state, style, graph } = this;
    const where =
      column === 0 ? "before the first layer" : `after layer ${record.layers[column - 1]}`;
    const reading = style.readings[column]?.[token];
    const read = reading?.[0]
      ? ` The lens reads ${quoted(reading[0])} (${percent(reading[1])}).`
      : "";
    if (column > 0 && graph.isMissing(column - 1, token)) {
      return `${this.name(token)} ${where}: its row is missing.${read}`;
    }
    const amount = percentOf(edges.amount(column, token));
    const held = state.into === "every" ? "of some token" : `of ${this.wordName()}`;
    return `${this.name(token)} ${where}: ${amount} ${held} passes here.${read}`;
  }

  /** The heads behind an edge, each a button that chooses it. */
  showHeads(edge) {
    const { record, selection } = this;
    if (!edge) {
      this.heads.replaceChildren();
      return;
    }
    const isNorm = Boolean(record.methods.norm);
    const pattern = isNorm ? new NormPattern(record) : record;
    const parts = headParts(pattern, record.numHeads, edge);
    const shown = parts.slice(0, MOST_HEADS).filter(({ part }) => part >= LEAST_PART);
    const rest = 1 - shown.reduce((sum, { part }) => sum + part, 0);
    const chips = shown.map(({ head, part }) => {
      const button = element(
        "button",
        { type: "button", class: "plain", "data-head": head },
        `${headName(record.layers[edge.row], head)} ${percent(part, 0)}`,
      );
      const isChosenWord = this.word.includes(edge.query) && edge.query !== edge.key;
      const pair = isChosenWord ? { key: edge.key } : {};
      button.addEventListener("click", () => selection.set({ row: edge.row, head, ...pair }));
      return button;
    });
    const by = isNorm ? "weight × length of what the key brings" : "weight";
    const label = parts.length === 0 ? "No head attends here" : `Heads behind it, by ${by}:`;
    const others = rest >= LEAST_PART && shown.length > 0 ? ` others ${percent(rest, 0)}` : "";
    this.heads.replaceChildren(element("span", { class: "label" }, label), ...chips, others);
  }

  listEdges() {
    const items = this.drawnEdges()
      .filter(({ query, key }) => query !== key)
      .slice(0, MOST_LISTED)
      .map((edge) => {
        const button = element("button", { type: "button", class: "link" }, this.edgeWords(edge));
        button.addEventListener("click", () => this.chooseEdge(edge));
        return element("li", {}, button);
      });
    this.list.replaceChildren(...items);
  }

  // The address

  toLink() {
    const { state, first } = this;
    const changed = (name, value) => (state[name] === first[name] ? null : value);
    writeLink(this.section.id, {
      weights: changed("weights", state.weights),
      threshold: changed("threshold", Math.round(1e5 * state.threshold) / 1e5),
      into: changed("into", state.into),
    });
  }

  fromLink(link) {
    const names = this.style.methods.map(({ name }) => name);
    const chosen = fitting(link, {
      weights: oneOf(names),
      threshold: within(this.style.least, 1),
      into: oneOf(INTO.map(([name]) => name)),
    });
    Object.assign(this.state, chosen);
  }
}

/** About two significant digits, as percent_of in views/flow.py. */
export function percentOf(share) {
  return percent(share, share >= 0.0995 ? 0 : share >= 0.00995 ? 1 : 2);
}
