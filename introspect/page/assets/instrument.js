// The sentence as an instrument: words, the strip of heads, and what both say of two words.
import { copyLink } from "./address-button.js";
import { chosenPair, isOfPair, sharesBy } from "./chosen-pair.js";
import { choice } from "./controls.js";
import { element, figure, headName, quoted } from "./dom.js";
import { fileName, smallPrint } from "./export-words.js";
import { headStrip } from "./head-strip.js";
import { layerPlayback } from "./layer-playback.js";
import { bringAllIn, listMap, mapped } from "./minimap.js";
import { signed } from "./numbers.js";
import { largestOf } from "./patterns.js";
import { beforeFrame, onWidth } from "./plot.js";
import { factWords, rankedPairs } from "./ranked-pairs.js";
import { RENORMALIZED, selectionOf } from "./selection.js";
import { pictureButtons, sentencePicture } from "./sentence-picture.js";
import { isGenerated, UNDERLINED } from "./tokens.js";
import { isUnbounded, isWhole, loadMethods, weighingsOf, wholeWords } from "./weighings.js";
import { sentenceWords } from "./words.js";

const OWN_MEASURES = [
  ["weight", "weight from word to word"],
  ["difference", "above what other words give"],
  ["withoutSpecial", "share without special tokens"],
];
const DIRECTIONS = [
  ["gives", "what the word gives"],
  ["gets", "what the word gets"],
];

/** Build it in its place. */
export async function mountInstrumentView(section, style, record) {
  await loadMethods(record);
  new Instrument(section, style, record).build();
}

class Instrument {
  constructor(section, style, record) {
    Object.assign(this, { section, style, record });
    this.selection = selectionOf(record, style.first);
    this.isSelf = record.keys === record.queries;
    this.direction = "gives";
    this.measure = style.measures.length > 0 ? style.measures[0].name : "weight";
    this.pointed = null;
    this.pointedHead = null;
  }

  build() {
    const { section, style, record, selection } = this;
    this.words = sentenceWords(record, style, {
      choose: (side, token, isPinned) => this.choose(side, token, isPinned),
      point: (side, token) => this.point(side === null ? null : { side, token }),
    });
    this.strip = headStrip(record, {
      choose: (row, head) => this.change(this.isByLayer ? { row } : { row, head }),
      point: (row, head) => this.pointHead(row === null ? null : [row, head]),
    });
    this.reading = element("p", { class: "live", "aria-live": "polite" });
    this.legend = element("p", { class: "strip-legend" });
    this.ranked = rankedPairs(record, (row, head) =>
      this.change(isWhole(record, selection.weights) ? { row } : { row, head }),
    );
    this.frame = element("div", { class: "instrument-text" }, [this.words.root, this.reading]);
    this.map = listMap({
      list: this.words.root,
      frame: this.frame,
      items: () => this.words.sides()[this.counted ?? "key"].words,
      strengths: () => Array.from(this.counts ?? [], (share) => share / this.scale),
    });
    section.replaceChildren(
      element("div", { class: "instrument" }, [
        mapped(this.frame, this.map),
        element("div", { class: "instrument-heads" }, [
          this.strip.root,
          this.measureControl(),
          this.legend,
        ]),
      ]),
      element("div", { class: "controls" }, this.controls()),
      this.ranked.root,
    );
    this.words.build(selection.granularity);
    section.addEventListener("keydown", (event) => this.onKey(event));
    selection.listeners.add((changed) => this.follow(changed));
    this.update();
    // Of another width the lines of a text end elsewhere.
    onWidth(this.words.root, () => this.bringIn(["query", "key"]));
  }

  measureControl() {
    const own = OWN_MEASURES.filter(([name]) => name !== "withoutSpecial" || this.hasSpecials);
    const given = this.style.measures.map(({ name, label }) => [name, label]);
    return choice({
      name: "measure",
      label: "Heads by",
      options: [...given, ...own],
      value: this.measure,
      change: (value) => {
        this.measure = value;
        this.colorHeads();
      },
    }).root;
  }

  get hasSpecials() {
    return this.record.keys.special.some(Boolean);
  }

  controls() {
    const { record, selection } = this;
    const pick = (name, label, options, value, change) =>
      choice({ name, label, options, value, change });
    const weighings = [
      ...weighingsOf(record),
      ...(this.hasSpecials ? [[RENORMALIZED, "without specials and itself"]] : []),
    ];
    this.weights =
      weighings.length > 1
        ? pick("weights", "Weights", weighings, selection.weights, (weights) =>
            this.change({ weights }),
          )
        : null;
    this.granularity = hasPieces(record)
      ? pick(
          "granularity",
          "By",
          [
            ["word", "word"],
            ["token", "token"],
          ],
          selection.granularity,
          (granularity) => this.change({ granularity }),
        )
      : null;
    const direction = pick("reading", "Numbers", DIRECTIONS, this.direction, (value) => {
      this.direction = value;
      this.update();
    });
    const parts = [direction, this.granularity, this.weights].filter(Boolean);
    const lines = () => [this.reading.textContent, this.smallPrint()];
    const picture = () => sentencePicture(this.section.querySelector(".instrument"), lines());
    const save = pictureButtons(() => {
      const number = this.section.id.match(/\d+/)?.[0];
      return fileName(["sentence", selection.name], record.texts.join(" · "), number);
    }, picture);
    const layers = layerPlayback(record, selection);
    const own = parts.map(({ root }) => root);
    return [...own, layers, copyLink(), save].filter(Boolean);
  }

  /** A choice made here: shown here, and told to everybody else. */
  change(change) {
    this.selection.set(change);
  }

  /** A choice made anywhere. */
  follow(changed) {
    const { selection } = this;
    if ("granularity" in changed) this.words.build(selection.granularity);
    this.weights?.show(selection.weights);
    this.granularity?.show(selection.granularity);
    this.pointed = null;
    this.pointedHead = null;
    this.update(isOfPair(changed));
    this.bringIn(["query", "key"].filter((side) => side in changed));
  }

  /** Bring chosen words of a long text into its frame: together, or if they are far apart the first. */
  bringIn(chosen) {
    const sides = this.words.sides();
    const words = chosen
      .filter((side) => this.selection[side] !== null)
      .map((side) => sides[side].words[sides[side].groupOf[this.selection[side]]]);
    if (words.length > 0) beforeFrame(this, () => bringAllIn(words, this.frame));
  }

  /** First the word that attends, then the word attended to; with Shift, another that attends. */
  choose(side, token, isPinned) {
    const { query, key, pins } = this.selection;
    const at = (index) => (index === null ? null : this.firstOf(side, index));
    if (isPinned && (this.isSelf || side === "query")) {
      const others = pins.filter((pin) => pin !== token);
      this.change({ pins: others.length === pins.length ? [...pins, token] : others });
      return;
    }
    if (!this.isSelf) {
      this.change(side === "query" ? { query: token, pins: [] } : { key: token });
      return;
    }
    if (query === null || (key !== null && at(key) !== token && at(query) !== token)) {
      this.change({ query: token, key: null, pins: [] });
    } else if (at(query) === token || at(key) === token) {
      this.change({ key: null, pins: [] });
    } else {
      this.change({ key: token });
    }
  }

  /** Escape leaves the word that attends alone. */
  onKey(event) {
    if (event.key !== "Escape") return;
    this.change({ key: null, pins: [] });
    this.point(null);
  }

  /** The first token of the word that a token is of. */
  firstOf(side, token) {
    const { groups, groupOf } = this.words.sides()[side];
    return groups[groupOf[token]][0];
  }

  point(pointed) {
    if (JSON.stringify(pointed) === JSON.stringify(this.pointed)) return;
    this.pointed = pointed;
    this.soon();
  }

  pointHead(place) {
    if (String(place) === String(this.pointedHead)) return;
    this.pointedHead = place;
    this.soon();
  }

  /** Pointers move faster than pictures are drawn. */
  soon() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.showWords();
    });
  }

  /** Show what is chosen: words, strip and sentence; the numbers of a pair only when it changed. */
  update(isOtherPair = true) {
    const { selection } = this;
    if (isOtherPair) {
      this.colorHeads();
      this.ranked.show(chosenPair(selection), selection.weights);
    }
    this.strip.mark(selection.row, selection.head);
    this.ranked.mark(selection.row, selection.head);
    this.showWords();
  }

  /** What counts as all of a word's attention: 1, or of what has no bound, the largest there is. */
  get scale() {
    const { record, selection } = this;
    if (!isUnbounded(record, selection.weights)) return 1;
    this.scales ??= {};
    const { pattern } = this.shares;
    const name = `${selection.weights} ${selection.row}`;
    this.scales[name] ??= largestOf(pattern, [selection.row], pattern.numHeads);
    return this.scales[name];
  }

  showWords() {
    const { selection, pointed, pointedHead } = this;
    const [row, head] = pointedHead ?? [selection.row, selection.head];
    const isColumn = pointed && !this.isSelf ? pointed.side === "key" : this.direction === "gets";
    const from = isColumn ? "key" : "query";
    const side = isColumn ? "query" : "key";
    const sides = this.words.sides();
    const own = sides[from];
    const first = isColumn && !this.isSelf ? selection.key : selection.query;
    const chosen = pointed ? [pointed.token] : [first, ...(isColumn ? [] : selection.pins)];
    const groups = [...new Set(chosen.filter((one) => one !== null).map((t) => own.groupOf[t]))];
    const shares = this.sharesOf(row, head, groups, sides, isColumn);
    Object.assign(this, { counts: shares, counted: side });
    this.map.draw();
    const other = isColumn && !this.isSelf ? null : selection.key;
    const isPair = !pointed && !isColumn && other !== null;
    this.words.show({
      shares,
      side,
      chosen: groups,
      key: isPair ? sides.key.groupOf[other] : -1,
      scale: this.scale,
      verb: isColumn ? "gives" : "gets",
      isSettled: !pointed && !pointedHead,
    });
    this.reading.textContent = this.sentence({ row, head, groups, shares, own, isColumn, isPair });
  }

  /** What words give each other by the chosen weights. */
  get shares() {
    return sharesBy(this.record, this.selection.weights);
  }

  /** What each word gets from the chosen words, in the mean; or gives to them, in sum. */
  sharesOf(row, head, chosen, { query, key }, isColumn) {
    if (isColumn) {
      const targets = chosen.flatMap((group) => key.groups[group]);
      return Float64Array.from(query.groups, (group) => this.shares.of(row, head, group, targets));
    }
    const sums = new Float64Array(key.groups.length);
    for (const group of chosen) {
      const shares = this.shares.row(row, head, query.groups[group], key);
      for (const [number, share] of shares.entries()) sums[number] += share / chosen.length;
    }
    return sums;
  }

  /** Whose numbers these are: a head's, or those of all heads together. */
  nameOf(row, head) {
    const { record, selection } = this;
    if (isWhole(record, selection.weights)) return wholeWords(record, selection.weights, row);
    return headName(record.layers[row], head);
  }

  /** What is seen, in a sentence. */
  sentence({ row, head, groups, shares, own, isColumn, isPair }) {
    const { record } = this;
    const name = this.nameOf(row, head);
    if (!record.holds(row, head)) return `${name} is not in this page.`;
    if (groups.length === 0) return `${name}. Choose a word to see what it attends to.`;
    const labels = groups.map((group) => quoted(own.words[group].dataset.label));
    const subject = labels.length > 2 ? `${labels.length} words` : labels.join(" and ");
    const inMean = groups.length > 1 ? " in the mean" : "";
    const verb = groups.length > 1 ? "give" : "gives";
    if (isPair) return this.pairSentence(name, subject, verb, inMean, row, head, shares);
    const { words } = this.words.sides()[isColumn ? "query" : "key"];
    const order = [...shares.keys()].filter((number) => shares[number] > 0);
    order.sort((a, b) => shares[b] - shares[a]);
    const most = order
      .slice(0, 2)
      .map((number) => `${quoted(words[number].dataset.label)} ${figure(shares[number])}`);
    if (most.length === 0) return `${name}: nothing to read for ${subject}.`;
    const what = isColumn ? `${subject} gets most from` : `${subject} ${verb} most to`;
    const of = this.isNamed ? "" : ` (${this.weightsLabel()})`;
    return `${name}: ${what} ${most.join(", then ")}${inMean}${of}.`;
  }

  pairSentence(name, subject, verb, inMean, row, head, shares) {
    const { selection } = this;
    const sides = this.words.sides();
    const target = sides.key.groupOf[selection.key];
    const label = quoted(sides.key.words[target].dataset.label);
    const given = `${name}: ${subject} ${verb} ${label} ${figure(shares[target])}${inMean}`;
    const fact = chosenPair(selection)?.fact(row, head);
    const isPlain = selection.weights === "raw" && selection.pins.length === 0;
    if (!isPlain) return this.isNamed ? `${given}.` : `${given} (${this.weightsLabel()}).`;
    if (!fact || Number.isNaN(fact.others)) return `${given}.`;
    const others = fact.numOthers === 1 ? "the other word gives it" : "the other words give it";
    return `${given}; ${others} ${figure(fact.others)}.`;
  }

  /** Whether a sentence need not add by which weights it is: by the usual, or its name says it. */
  get isNamed() {
    const { record, selection } = this;
    return selection.weights === "raw" || isWhole(record, selection.weights);
  }

  /** Model, head and weights, for a picture that is seen without its page. */
  smallPrint() {
    const head = this.nameOf(this.selection.row, this.selection.head);
    const line = isGenerated(this.record) ? UNDERLINED : "";
    const parts = [this.style.model, head, `weights: ${this.weightsLabel()}`, line];
    return smallPrint("", parts, Number.POSITIVE_INFINITY);
  }

  weightsLabel() {
    const { weights } = this.selection;
    const known = [...weighingsOf(this.record), [RENORMALIZED, "without specials and itself"]];
    return known.find(([name]) => name === weights)?.[1] ?? "raw";
  }

  /** Whether the strip has one number for each layer. */
  get isByLayer() {
    const isGiven = this.style.measures.some(({ name }) => name === this.measure);
    return !isGiven && isWhole(this.record, this.selection.weights);
  }

  colorHeads() {
    const given = this.style.measures.find(({ name }) => name === this.measure);
    this.strip.layByLayer(this.isByLayer);
    this.strip.mark(this.selection.row, this.selection.head);
    if (given) {
      this.colorByGiven(given);
      return;
    }
    const pair = chosenPair(this.selection);
    const of = (row, head) => pair?.fact(row, head)[this.measure] ?? Number.NaN;
    const scale = this.scale;
    this.strip.color(
      (row, head) => of(row, head) / scale,
      (row, head) => (pair ? factWords(pair.fact(row, head), this.measure) : figure(Number.NaN)),
    );
    if (!pair) {
      this.legend.textContent = "Choose a second word to color the heads.";
      return;
    }
    const words = pair.labels.map((label) => quoted(label, 14)).join(" → ");
    const isSigned = this.measure === "difference";
    this.showLegend(words, [isSigned ? signed(-scale) : "0", figure(scale)], isSigned);
  }

  colorByGiven({ values, low, middle, high, label, digits }) {
    const of = (row, head) => values[row][head] ?? Number.NaN;
    const strength = (row, head) => {
      const value = of(row, head);
      return value < middle
        ? (value - middle) / (middle - low)
        : (value - middle) / (high - middle);
    };
    this.strip.color(strength, (row, head) => figure(of(row, head), digits));
    const ends = [figure(low, digits), figure(middle, digits), figure(high, digits)];
    this.showLegend(label, low < middle ? [ends[0], ends[2]] : ends.slice(1), low < middle);
  }

  /** What the colors mean: from one end to the other, with no color in the middle or at the start. */
  showLegend(words, [low, high], isSigned) {
    const bar = element("i", { class: isSigned ? "strip-scale signed" : "strip-scale" });
    const ends = element("span", { class: "strip-ends" }, [`${low} `, bar, ` ${high}`]);
    this.legend.replaceChildren(`${words}  `, ends);
  }
}

function hasPieces({ queries, keys }) {
  return [queries, keys].some(({ words }) =>
    words.some((word, index) => word !== null && word === words[index - 1]),
  );
}
