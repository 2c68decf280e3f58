// The cases of a set as data: their words, and what a head gives their candidates.
import { compared } from "./tables.js";

/** Decimals of weights: with two, a case that is lost by a little would seem a tie. */
export const PLACES = 3;

/** What is right, wrong or neither, in words: credits are whole, or shares of a tie. */
export function verdictOf(credit) {
  if (Number.isNaN(credit)) return "";
  if (credit === 1) return "right";
  return credit === 0 ? "wrong" : "tied";
}

/** The largest of some numbers, those that are missing aside; NaN for none. */
function largest(numbers) {
  const known = numbers.filter((number) => !Number.isNaN(number));
  return known.length > 0 ? Math.max(...known) : Number.NaN;
}

/** All cases, in the order and with the numbers that are asked for. */
export class CaseList {
  /** @param {object} style what the view is given */
  constructor(style) {
    Object.assign(this, { style, heads: style.heads, place: 0 });
    this.cases = style.packed.cases.map(readCase);
    this.names = style.packed.names;
    let start = 0;
    this.starts = this.cases.map(({ candidates }) => {
      start += candidates.length;
      return start - candidates.length;
    });
    this.numCandidates = start;
    this.sought = this.cases.map((one, index) =>
      `${this.names[index]} ${one.text}`.toLocaleLowerCase(),
    );
  }

  get length() {
    return this.cases.length;
  }

  /** What a head gives a candidate, or gets from it. */
  weight(index, candidate, place = this.place) {
    const at = place * this.numCandidates + this.starts[index] + candidate;
    return this.style.arrays.weights.at(at) * this.style.scale;
  }

  credit(index, place = this.place) {
    return this.style.arrays.credits.at(place * this.length + index);
  }

  /** The numbers of a case by a head: its best antecedent, its best distractor, and what follows. */
  facts(index, place = this.place) {
    const of = (isSought) =>
      largest(
        this.cases[index].candidates.flatMap(({ isAntecedent }, candidate) =>
          isAntecedent === isSought ? [this.weight(index, candidate, place)] : [],
        ),
      );
    const [antecedent, distractor] = [of(true), of(false)];
    const credit = this.credit(index, place);
    return { antecedent, distractor, difference: antecedent - distractor, credit };
  }

  /** The indices of the cases that hold some words and are right, wrong, tied or neither. */
  found(words, verdict = "") {
    const parts = words.trim().toLocaleLowerCase().split(/\s+/).filter(Boolean);
    return [...this.cases.keys()].filter((index) => {
      if (!parts.every((part) => this.sought[index].includes(part))) return false;
      if (!verdict) return true;
      return (verdictOf(this.credit(index)) || "neither") === verdict;
    });
  }

  /** Cases in the order of a column; direction 1 is upward, and 0 that of the set. */
  sorted(indices, column, direction) {
    if (!direction) return indices;
    const value = (index) => this.value(index, column);
    const keyed = indices.map((index) => [value(index), index]);
    keyed.sort(([a, i], [b, j]) => compared(a, b, direction) || i - j);
    return keyed.map(([, index]) => index);
  }

  value(index, column) {
    if (column === "number") return index;
    if (column === "text") return this.cases[index].text;
    if (column === "pronoun") return this.cases[index].pronoun.phrase;
    if (column === "refers") return this.phrases(index, true);
    return this.facts(index)[column];
  }

  /** The antecedents of a case, or its distractors, in words. */
  phrases(index, isSought) {
    const own = this.cases[index].candidates.filter((one) => one.isAntecedent === isSought);
    return [...new Set(own.map(({ phrase }) => phrase))].join(", ");
  }
}

function readCase([text, start, end, ...rest]) {
  const mention = (from, to) => ({ start: from, end: to, phrase: text.slice(from, to) });
  const candidates = [];
  for (let place = 0; place < rest.length; place += 3) {
    const [from, to, isAntecedent] = rest.slice(place, place + 3);
    candidates.push({ ...mention(from, to), isAntecedent: isAntecedent === 1 });
  }
  return { text, pronoun: mention(start, end), candidates };
}

/**
 * A text in pieces, each with the mentions that it belongs to; mentions may overlap.
 * @returns {{text: string, own: object[], ends: object[]}[]} `ends` are those that end with it
 */
export function piecesOf({ text, pronoun, candidates }) {
  const mentions = [pronoun, ...candidates];
  const places = new Set([0, text.length]);
  for (const { start, end } of mentions) places.add(start).add(end);
  const bounds = [...places].sort((a, b) => a - b);
  return bounds.slice(1).map((end, number) => {
    const start = bounds[number];
    return {
      text: text.slice(start, end),
      own: mentions.filter((one) => one.start <= start && end <= one.end),
      ends: mentions.filter((one) => one.end === end && one.start <= start),
    };
  });
}
