// What the layer view shows: a token on one side, and how its weights are read.
import { below, fitting, oneOf } from "./address.js";
import { SCALES } from "./controls.js";
import { isUnbounded, isWhole, methodOf, patternBy, weightsFrom } from "./weighings.js";

/** The ways to read several heads. */
export const WAYS = [
  ["mean", "mean"],
  ["max", "largest"],
  ["one", "one head"],
];
export const SIDES = [
  ["query", "from the token"],
  ["key", "to the token"],
];

/** The state of a view of one token. */
export class LayerState {
  constructor(style, record) {
    Object.assign(this, { style, record });
    this.first = {
      side: style.side,
      token: style.tokens[style.side],
      weights: style.weights,
      combine: style.combine,
      head: style.head,
      special: true,
      scale: "one",
    };
    Object.assign(this, this.first);
  }

  /** The tokens that one is chosen from. */
  get own() {
    return this.record.side(this.side);
  }

  get otherSide() {
    return this.side === "query" ? "key" : "query";
  }

  /** The tokens that are rows, shown or not. */
  get other() {
    return this.record.side(this.otherSide);
  }

  /** What the numbers are taken from. */
  get pattern() {
    const { weights } = this;
    if (this.known?.weights !== weights) {
      this.known = { weights, pattern: patternBy(this.record, weights) };
    }
    return this.known.pattern;
  }

  /** What the page says of the method; null for the attention itself. */
  get method() {
    return methodOf(this.record, this.weights);
  }

  /** Whether one number is for all heads together. */
  get isWhole() {
    return isWhole(this.record, this.weights);
  }

  /** Whether the colors reach to the largest number. */
  get isToLargest() {
    return this.scale !== "one" || isUnbounded(this.record, this.weights);
  }

  /** The tokens that are rows. */
  get shown() {
    const { special } = this.other;
    const all = special.map((_, index) => index);
    return this.special ? all : all.filter((index) => !special[index]);
  }

  get leftOut() {
    const { special } = this.other;
    return this.special ? [] : special.flatMap((flag, index) => (flag ? [index] : []));
  }

  /** Change something; whether the token is now on the other side. */
  set(change) {
    const { style } = this;
    const isTurned = Boolean(change.side) && change.side !== this.side;
    Object.assign(this, change);
    // One text is on both sides; of two texts, the other has its own tokens.
    if (isTurned && !style.isSelf && change.token === undefined) {
      this.token = style.tokens[this.side];
    }
    return isTurned;
  }

  /** What of the state the address must say. */
  toLink() {
    const { first, style } = this;
    const start = { ...first, token: style.isSelf ? first.token : style.tokens[this.side] };
    const names = ["side", "token", "weights", "combine", "head", "scale"];
    const link = names.map((name) => [name, this[name] === start[name] ? null : this[name]]);
    return { ...Object.fromEntries(link), special: this.special ? null : "hidden" };
  }

  /** Take over what the address says. */
  fromLink(link) {
    const { style, record } = this;
    const named = (options) => oneOf(options.map(([name]) => name));
    Object.assign(this, fitting(link, { side: named(SIDES) }));
    if (!style.isSelf) this.token = style.tokens[this.side];
    const { special, ...choices } = fitting(link, {
      token: below(this.own.labels.length),
      weights: weightsFrom(record),
      combine: named(WAYS),
      head: below(record.numHeads),
      scale: named(SCALES),
      special: oneOf(["hidden"]),
    });
    Object.assign(this, choices);
    if (special) this.special = false;
  }
}
