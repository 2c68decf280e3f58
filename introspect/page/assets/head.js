// The head view: two sides of tokens, joined by lines.
import { below, fitting } from "./address.js";
import { goTo } from "./chapters.js";
import { choice, slider } from "./controls.js";
import { announce, element, figure, headName, labeled, quoted } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { headChips } from "./head-chips.js";
import { headFigure } from "./head-figure.js";
import { ROOM } from "./head-folds.js";
import { lineTraces } from "./head-lines.js";
import { COMBINATIONS, FILTERS, HeadState, weightsOf } from "./head-state.js";
import { barsWidth, layOut, markFound, showNumbers, tokenSides } from "./head-tokens.js";
import { readLink, writeLink } from "./link.js";
import { bringToMiddle, fitMap, inSight, minimap } from "./minimap.js";
import { signMore } from "./more.js";
import { whole } from "./numbers.js";
import { draw, onWidth } from "./plot.js";
import { selectionOf } from "./selection.js";
import { onTheme, themed } from "./theme.js";
import { loadMethods, methodOf, numberWords, weightsWords, wholeWords } from "./weighings.js";

const HORIZONTAL_BREADTH = 170;
const KINDS = { self: "self", encoder: "encoder", decoder: "decoder", cross: "decoder to encoder" };

/** Build the view in its section. */
export async function mountHeadView(section, style, record, others) {
  const records = [record, ...others];
  for (const one of records) await loadMethods(one);
  const place = element("div", {});
  section.append(place);
  let view = null;
  const open = (number, link) => {
    view?.close();
    view = new HeadView(section, place, style, records, number, open);
    if (link) view.state.fromLink(link);
    view.build();
    view.connect();
  };
  const link = readLink(section.id);
  open(fitting(link, { attention: below(records.length) }).attention ?? 0, link);
  onTheme(() => view.build());
  section.addEventListener("keydown", (event) => view.onKey(event));
  listenForOpening(section, (layer, head, weights) => {
    if (view.record !== record) open(0);
    // Who names a head and no weights means one that has a map of its own.
    view.showHead(layer, [head], weights ?? (view.state.isWhole ? "raw" : undefined));
  });
}

/** The view of one of the records. */
class HeadView {
  constructor(section, place, style, records, number, open) {
    Object.assign(this, { section, place, records, number, open });
    this.record = records[number];
    // What to show first was said for the first record.
    const others = { heads: Array.from({ length: this.record.numHeads }, (_, h) => h), pins: [] };
    this.style = { ...style, ...(number > 0 ? others : {}), colors: style.colors[number] };
    this.state = new HeadState(this.record, this.style);
    this.sought = "";
    this.width = 0;
    this.isWaiting = false;
    const scrolled = () => this.followScroll();
    document.addEventListener("scroll", scrolled, { capture: true, passive: true });
    this.forget = () => document.removeEventListener("scroll", scrolled, { capture: true });
  }

  close() {
    this.forget();
    this.isClosed = true;
  }

  /** From now on what is chosen elsewhere on the page is chosen here, and the reverse. */
  connect() {
    const { row, heads, granularity, weights } = this.state;
    const [query = null] = this.pinned("query");
    const first = { row, head: heads[0] ?? 0, query, granularity, weights };
    this.selection = selectionOf(this.record, first);
    this.take = (changed) => {
      if (!this.isClosed) this.follow(changed);
    };
    this.selection.follow(this.take);
  }

  /** What was chosen elsewhere. */
  follow(changed) {
    const { state, selection } = this;
    const isKnown = weightsOf(this.record).some(([name]) => name === changed.weights);
    const isRead = (name) => changed[name] !== undefined && changed[name] !== state[name];
    const isOther = isRead("granularity") || (isKnown && isRead("weights"));
    if (isKnown) state.weights = changed.weights;
    if (changed.granularity) state.granularity = changed.granularity;
    if (["query", "pins", "granularity"].some((name) => name in changed)) {
      state.pins = this.pinsOf([selection.query, ...selection.pins]);
      state.pointed = null;
    }
    const isPlace = "row" in changed || "head" in changed;
    if (isOther) this.build();
    if (isPlace) this.showHead(this.record.layers[selection.row], [selection.head]);
    else if (!isOther) this.update();
  }

  /** The first tokens of what is pinned on a side. */
  pinned(side) {
    const groups = this.state.pattern[side === "query" ? "queries" : "keys"].groups;
    const own = this.state.pins.filter((pin) => pin.side === side);
    return own.map(({ index }) => (groups ? groups[index][0] : index));
  }

  /** Tokens that attend, as pins of the view: by word, their words. */
  pinsOf(tokens) {
    const { groups } = this.state.pattern.queries;
    const places = tokens
      .filter((token) => token !== null)
      .map((token) => (groups ? groups.findIndex((group) => group.includes(token)) : token));
    return [...new Set(places)].map((index) => ({ side: "query", index }));
  }

  /** Tell the page which head is chosen here, if it is one. */
  tellHead() {
    const { row, heads } = this.state;
    const head = heads.length === 1 ? { head: heads[0] } : {};
    this.selection?.set({ row, ...head }, this.take);
  }

  /** Tell the page which words are chosen here, if some of them attend. */
  tellWords() {
    const [query, ...pins] = this.pinned("query");
    if (query !== undefined) this.selection?.set({ query, pins }, this.take);
  }

  /** What the page's choice says already, the view's own part of the address leaves out. */
  ownLink() {
    const { state, selection } = this;
    const link = { ...state.toLink(), layer: null, weights: null, granularity: null };
    if (!selection) return link;
    // What the page's choice began with, it does not say in the address.
    const isTold = (...names) => names.some((name) => selection.hasChanged(name));
    const isOne = String(state.heads) === String(selection.head) && isTold("row", "head");
    const chosen = this.pinsOf([selection.query, ...selection.pins]);
    const isPinned = JSON.stringify(chosen) === JSON.stringify(state.pins);
    const isSame = isPinned && isTold("query", "pins");
    return { ...link, ...(isOne ? { heads: null } : {}), ...(isSame ? { pins: null } : {}) };
  }

  /** Everything anew: after a choice that changes which tokens and controls there are. */
  build() {
    const { state, style, place } = this;
    const update = (isSoon, isChosen = false) => {
      this.update(isSoon);
      if (isChosen) this.tellWords();
    };
    this.caption = element("p", { class: "reading", "aria-live": "polite" });
    this.lines = element("div", { class: "lines" });
    this.sides = tokenSides(state, style, update, this.sides);
    this.map = minimap(
      () => ["query", "key"].map((side) => this.lane(side)),
      (lane, place) => this.lookAt(["query", "key"][lane], place),
    );
    this.layer = this.layerControl();
    this.chips = headChips(themed(style.colors), state.heads, (heads) => {
      state.heads = heads;
      update();
      this.tellHead();
    });
    // Of a method that takes all heads together there is nothing to choose.
    this.chips.root.hidden = state.isWhole;
    const isHorizontal = state.layout === "horizontal";
    const canvas = element("div", { class: `head-view ${state.layout}` }, [
      this.sides.query.list,
      this.lines,
      this.sides.key.list,
      ...(isHorizontal ? [] : [this.map.root]),
    ]);
    place.replaceChildren(
      element("div", { class: "controls" }, this.controls()),
      this.chips.root,
      this.caption,
      isHorizontal ? signMore(element("div", { class: "scroller", tabindex: 0 }, canvas)) : canvas,
    );
    this.markFound();
    // What the lines are drawn over tells their width, and whether the view is seen at all.
    onWidth(isHorizontal ? canvas : this.lines, (now) => {
      this.width = now;
      update();
    });
    update();
  }

  /** How many rows the longer side has; a long text keeps its room while the rows change. */
  get rows() {
    const sides = Object.values(this.sides);
    const least = sides.some(({ isLong }) => isLong) ? ROOM : 1;
    return Math.max(least, ...sides.map(({ rows }) => rows.length));
  }

  controls() {
    const { state, record } = this;
    const rebuild = (name) => (value) => {
      state[name] = value;
      // Pins and filters name tokens: others are there now.
      if (name === "granularity") state.pins = [];
      state.pointed = null;
      this.build();
      if (name in this.selection.first) this.selection.set({ [name]: value }, this.take);
    };
    const pick = (name, label, options) =>
      choice({ name, label, options, value: state[name], change: rebuild(name) }).root;
    const isPair = record.queries.sequences.includes(1) || record.keys.sequences.includes(1);
    return [
      this.records.length > 1 ? this.attentionControl() : null,
      this.layer.root,
      this.thresholdControl(),
      state.isWhole ? null : pick("combine", "Heads as", COMBINATIONS),
      hasPieces(record)
        ? pick("granularity", "By", [
            ["token", "token"],
            ["word", "word"],
          ])
        : null,
      pick("weights", "Weights", weightsOf(record)),
      isPair ? pick("filter", "Show", FILTERS) : null,
      pick("layout", "Layout", [
        ["vertical", "columns"],
        ["horizontal", "lines"],
      ]),
      this.searchControl(),
      exportButtons(
        "head-view",
        () => headFigure(state, this.style, this.sides, this.reading()),
        () => ({ head: this.nameOfHeads(), weights: weightsWords(record, state.weights) }),
      ),
    ].filter(Boolean);
  }

  /** L3H1, or of several heads their layer. */
  nameOfHeads() {
    const { isWhole, heads, layer, combine } = this.state;
    const isOne = !isWhole && heads.length === 1 && !combine.includes("layers");
    return isOne ? headName(layer, heads[0]) : `L${layer}`;
  }

  attentionControl() {
    const options = this.records.map((record, number) => [
      String(number),
      KINDS[record.kind] ?? record.kind,
    ]);
    return choice({
      name: "attention",
      label: "Attention",
      options,
      value: String(this.number),
      change: (number) => {
        writeLink(this.section.id, { attention: number === "0" ? null : number });
        this.open(Number(number));
      },
    }).root;
  }

  layerControl() {
    const { layers } = this.record;
    return slider({
      name: "layer",
      label: "Layer",
      min: 0,
      max: layers.length - 1,
      step: 1,
      value: this.state.row,
      say: (row) => String(layers[row]),
      change: (row) => {
        this.state.layer = layers[row];
        this.update();
        this.tellHead();
      },
    });
  }

  thresholdControl() {
    return slider({
      name: "threshold",
      label: "Hide lines under",
      min: 0,
      max: 1,
      step: 0.01,
      value: this.state.threshold,
      say: (value) => {
        if (value === 0) return "none";
        return this.state.isUnbounded ? `${figure(value)} of the largest` : figure(value);
      },
      change: (value) => {
        this.state.threshold = value;
        this.update();
      },
    }).root;
  }

  searchControl() {
    const input = element("input", {
      type: "search",
      name: "search",
      value: this.sought,
      size: 10,
    });
    this.foundOutput = element("output", {});
    input.addEventListener("input", () => this.search(input.value));
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.section.querySelector(".token.found")?.focus();
    });
    return labeled("Find", input, this.foundOutput);
  }

  search(sought) {
    this.sought = sought;
    this.markFound();
    if (Object.values(this.sides).some(({ isLong }) => isLong)) this.update();
  }

  markFound() {
    const count = markFound(this.sides, this.sought);
    this.foundOutput.textContent = this.sought.trim() === "" ? "" : `${whole(count)} found`;
  }

  /** Arrows change layer and head, Escape lets go of every token. */
  onKey(event) {
    if (event.target.closest("input, select, .chips")) return;
    if (event.key === "Escape") {
      for (const side of Object.values(this.sides)) side.foldAll();
      this.state.pins = [];
      this.state.pointed = null;
      this.update();
      return;
    }
    const [down, right] =
      { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ??
      [];
    if (down === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const { layers, numHeads } = this.record;
    const row = Math.min(Math.max(this.state.row + down, 0), layers.length - 1);
    const { heads } = this.state;
    // From several heads the arrows go to the first or the last; from one, to its neighbor.
    const next = heads.length === 1 ? heads[0] + right : right > 0 ? 0 : numHeads - 1;
    const isSame = right === 0 || this.state.isWhole;
    const chosen = isSame ? heads : [Math.min(Math.max(next, 0), numHeads - 1)];
    this.showHead(layers[row], chosen);
    announce(this.reading());
  }

  /** Show heads of a layer apart, by the weights that they were shown by elsewhere. */
  showHead(layer, heads, weights = this.state.weights) {
    const { state } = this;
    const isKnown = weightsOf(this.record).some(([name]) => name === weights);
    const isOther = isKnown && weights !== state.weights;
    state.layer = layer;
    if (isOther) state.weights = weights;
    if (isOther || state.combine !== "separate") {
      state.combine = "separate";
      this.build();
    }
    this.layer.show(this.state.row);
    this.chips.show(state.isWhole ? state.heads : heads);
  }

  /** Draw what the state says; soon, where more is likely to change at once. */
  update(isSoon = false) {
    if (!isSoon) {
      this.draw();
      return;
    }
    this.isWaiting = true;
    requestAnimationFrame(() => {
      if (this.isWaiting) this.draw();
    });
  }

  draw() {
    this.isWaiting = false;
    if (this.isClosed) return;
    const { state, style } = this;
    this.place.style.setProperty("--bars", `${barsWidth(state)}px`);
    layOut(state, this.sides);
    showNumbers(state, style, this.sides);
    this.caption.replaceChildren(this.reading(), this.hint());
    writeLink(this.section.id, this.ownLink());
    if (this.width === 0) return;
    if (state.layout === "horizontal") this.drawAcross();
    else this.drawDown();
  }

  /** How far a side has been moved down to stay in sight. */
  offset(side) {
    const { list, rows } = this.sides[side];
    if (rows.length === this.rows) return 0;
    return list.getBoundingClientRect().top - this.lines.getBoundingClientRect().top;
  }

  /** The shorter side stays in sight, and its ends of the lines go with it. */
  followScroll() {
    if (this.isScrolled || this.width === 0 || this.state.layout === "horizontal") return;
    this.isScrolled = true;
    this.map.draw();
    requestAnimationFrame(() => {
      this.isScrolled = false;
      const isMoved = ["query", "key"].some((side) => this.offset(side) !== this.offsets?.[side]);
      if (!this.isClosed && isMoved) this.drawDown();
    });
  }

  drawDown() {
    const { rowHeight } = this.style;
    const height = this.rows * rowHeight;
    this.lines.style.height = `${height}px`;
    for (const { list, rows } of Object.values(this.sides)) {
      const own = rows.length * rowHeight;
      list.style.setProperty("--stick", `min(8px, calc(100vh - ${own + 8}px))`);
    }
    const view = { x: [0, this.width], y: [height, 0], width: this.width, height };
    draw(this.lines, () => this.linesDown(), view);
    this.showMap(height);
  }

  linesDown() {
    const { rowHeight } = this.style;
    this.offsets = { query: this.offset("query"), key: this.offset("key") };
    const places = (side) =>
      new Map(
        this.sides[side].rows.flatMap(({ token }, row) =>
          token === undefined ? [] : [[token, this.offsets[side] + (row + 0.5) * rowHeight]],
        ),
      );
    const ends = { query: places("query"), key: places("key") };
    return lineTraces(this.state, this.style, ends, this.width, { isHorizontal: false });
  }

  /** A long text has a map: one that is folded, or higher than some windows. */
  showMap(height) {
    const isFolded = Object.values(this.sides).some(({ isLong }) => isLong);
    fitMap(this.map.root, isFolded ? Math.max(height, innerHeight * 3) : height, innerHeight);
    this.map.root.style.setProperty("--length", `${Math.min(height, innerHeight - 16)}px`);
    this.map.draw();
  }

  /** What the map shows of a side. */
  lane(side) {
    const { all, rows, list, strengths } = this.sides[side];
    const placeOf = (token) => all.indexOf(token);
    const ends = ({ token, folded, opened }) => {
      const [first, last] =
        token === undefined ? [(folded ?? opened)[0], (folded ?? opened).at(-1)] : [token, token];
      return [placeOf(first), placeOf(last)];
    };
    const seen = inSight([...list.children]);
    return {
      count: all.length,
      strengths,
      rows: rows.filter(({ token }) => token !== undefined).map(ends),
      seen: seen && [ends(rows[seen[0]])[0], ends(rows[seen[1]])[1]],
    };
  }

  /** Bring a place of the text into sight; where it folds, it and its neighbors have rows. */
  lookAt(side, place) {
    const column = this.sides[side];
    column.lookAt(place);
    this.update();
    bringToMiddle(column.item(column.all[place]));
  }

  drawAcross() {
    const width = this.lines.parentElement.scrollWidth;
    const height = HORIZONTAL_BREADTH;
    draw(this.lines, () => this.linesAcross(), { x: [0, width], y: [height, 0], width, height });
  }

  linesAcross() {
    const places = (side) =>
      new Map(
        this.sides[side].shown.map((index) => {
          const item = this.sides[side].item(index);
          return [index, item.offsetLeft + item.offsetWidth / 2];
        }),
      );
    const ends = { query: places("query"), key: places("key") };
    return lineTraces(this.state, this.style, ends, HORIZONTAL_BREADTH, { isHorizontal: true });
  }

  /** What is seen, in a sentence. */
  reading() {
    const { state } = this;
    if (state.drawn.length === 0) return "No head is shown. Choose one above.";
    const shown = this.shownHeads();
    if (state.focal.length === 0) {
      return `Showing ${shown}.${this.foldedWords()}`;
    }
    const sides = ["query", "key"].map((side) => this.named(side));
    const [to, gives] = this.isThrough ? ["of", "holds of"] : ["to", "gives to"];
    const given = sides[0] ? `what ${sides[0]} ${to} each token` : "";
    const taken = sides[1] ? `what each token ${gives} ${sides[1]}` : "";
    const numbers = [given, taken].filter(Boolean).join("; ");
    return `Numbers: ${numbers} (${shown}).${this.saying()}${this.removed()}${this.leftOut()}`;
  }

  /** What is of no use on paper and in a saved figure. */
  hint() {
    const isNeeded = this.state.drawn.length > 0 && this.state.focal.length === 0;
    return isNeeded
      ? element("span", { class: "on-screen" }, " Point at a token for its numbers.")
      : "";
  }

  /** What is left of a long text while nothing is pointed at. */
  foldedWords() {
    const isFolded = Object.values(this.sides).some(({ rows }) => rows.some((row) => row.folded));
    return isFolded ? " Of this long text the tokens of the strongest lines have a row." : "";
  }

  /** Whether what is shown went through several layers. */
  get isThrough() {
    return Boolean(methodOf(this.record, this.state.weights)?.through);
  }

  /** What a number is where it is no attention weight. */
  saying() {
    const { state, record } = this;
    if (!methodOf(record, state.weights)) return "";
    if (state.weights !== "norm") return ` ${numberWords(record, state.weights)}`;
    return " Each is a weight times the length of what its key brings, and rows sum to no 1.";
  }

  shownHeads() {
    const { state, record } = this;
    if (state.isWhole) return wholeWords(record, state.weights, state.row);
    const { length } = state.heads;
    const one = headName(state.layer, state.heads[0]);
    const [how, extent] = state.combine.split("-");
    if (extent) {
      const of = `${length === 1 ? "head" : "heads"} ${brief(state.heads)}`;
      return `${how === "max" ? "largest" : "mean"} over all layers of ${of}`;
    }
    if (length === 1) return one;
    const several = `${length} heads of layer ${state.layer}`;
    if (how === "max") return `largest of ${several}`;
    return state.isCombined || state.focal.length > 0 ? `mean of ${several}` : several;
  }

  /** “it” gives; “it” and “was” give together; 5 tokens give together. */
  named(side) {
    const { labels } = this.state.pattern[side === "query" ? "queries" : "keys"];
    const names = this.state.focal
      .filter((token) => token.side === side)
      .map((token) => quoted(labels[token.index]));
    if (names.length === 0) return "";
    const list = names.length < 3 ? names.join(" and ") : `${names.length} pinned ${side} tokens`;
    if (side === "key") return names.length > 1 ? `${list} together` : list;
    const verb = this.isThrough ? "hold" : "give";
    return names.length > 1 ? `${list} ${verb} together` : `${list} ${verb}s`;
  }

  /** How much of a query's attention the page does not hold: of a long text only the largest. */
  leftOut() {
    const { state, record } = this;
    const query = state.focal.find((token) => token.side === "query");
    if (!record.kept || !query || state.granularity === "word" || state.focal.length > 1) return "";
    const shares = state.rows.flatMap((row) =>
      state.heads.map((head) => record.remainder(row, head, query.index)),
    );
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    return ` ${figure(mean)} lies in weights too small to be in this page.`;
  }

  /** How much of a query's attention the renormalized weights leave out. */
  removed() {
    const { state } = this;
    const queries = state.focal.filter((token) => token.side === "query");
    if (state.weights !== "renormalized" || queries.length !== 1 || state.isCombined) return "";
    const removed = state.heads.map(
      (head) => state.pattern.shares(state.row, head, queries[0].index).removed,
    );
    const mean = removed.reduce((sum, share) => sum + share, 0) / removed.length;
    return ` ${figure(mean)} went to special tokens and itself, and is left out.`;
  }
}

function hasPieces({ queries, keys }) {
  return [queries, keys].some(
    ({ words }) =>
      new Set(words.filter((word) => word !== null)).size <
      words.filter((word) => word !== null).length,
  );
}

function brief(numbers) {
  return numbers.length > 6 ? `${numbers.slice(0, 5).join(", ")}, …` : numbers.join(", ");
}

/** Another view may ask this one to show a head. */
function listenForOpening(section, show) {
  document.addEventListener("introspect:open-head", (event) => {
    const { target, layer, head, origin, follow, weights } = event.detail;
    if (target !== section.id) return;
    section.hidden = false;
    show(layer, head, weights);
    if (!follow) return;
    goTo(section);
    announce(`${headName(layer, head)}, chosen in the ${origin}, is shown in the head view.`);
  });
}

/**
 * Ask a head view of the same record to show a head: the next one on the page, else the first.
 * @param {{follow: boolean, weights: string}} options go there too; by which weights
 */
export function openHead(section, record, layer, head, origin, { follow = true, weights } = {}) {
  const own = `section[data-view="head"][data-record="${record.number}"]`;
  const views = [...document.querySelectorAll(own)];
  const follows = (view) =>
    section.compareDocumentPosition(view) & Node.DOCUMENT_POSITION_FOLLOWING;
  const target = views.find(follows) ?? views[0];
  if (!target) return;
  const detail = { target: target.id, layer, head, origin, follow, weights };
  const ask = () => document.dispatchEvent(new CustomEvent("introspect:open-head", { detail }));
  if (target.dataset.mounted) return ask();
  // It waits in a folded chapter.
  target.addEventListener("introspect:mounted", ask, { once: true });
  if (follow) goTo(target);
  return null;
}
