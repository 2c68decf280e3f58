// What the compare view says of what is pointed at.
import { LONGEST_NAME } from "./compare-state.js";
import { figure, quoted } from "./dom.js";
import { listed, signed, writtenDifference } from "./numbers.js";

const NAMED = 3;
const LONGEST_LIST = 150;
// Smaller changes are not named: two decimals would not show them.
const LEAST_CHANGE = 0.005;

/** Sentences about a `CompareState`. */
export class CompareWords {
  constructor(state) {
    this.state = state;
  }

  /** Of a query and a key, of either, or of the chosen query. */
  sentence([query, key]) {
    if (query !== null && key !== null) return this.cellSentence(query, key);
    if (key !== null) return this.keySentence(key);
    return this.rowSentence(query ?? this.state.token);
  }

  named(places, place) {
    return quoted(places.name(place), LONGEST_NAME);
  }

  labeled(places, place, side) {
    return quoted(places.label(place, side), LONGEST_NAME);
  }

  cellSentence(query, key) {
    const [a, b, change] = [0, 1, 2].map((panel) => this.state.values(query, panel)[key]);
    const pair = `${this.named(this.state.queries, query)} → ${this.named(this.state.keys, key)}`;
    const [left, right] = [a, b].map((value, side) => {
      const isThere =
        this.state.queries.index(query, side) !== null && this.state.keys.index(key, side) !== null;
      return `${this.state.shortNames[side]} ${isThere ? figure(value) : "–"}`;
    });
    const difference = Number.isNaN(change)
      ? "no difference to state"
      : signed(writtenDifference(b, a));
    return `${pair}: ${left}, ${right}, difference ${difference} (${this.state.headWords()}).`;
  }

  /** What a query token does otherwise in B, the largest change first. */
  rowSentence(query) {
    const rows = [0, 1, 2].map((panel) => this.state.values(query, panel));
    if (!this.state.queries.isShared(query)) return this.loneSentence(query, rows);
    const changes = this.changesOf(rows[2]);
    const opening = `${this.opening(query)} gives`;
    const end = ` (${this.state.headWords()}).`;
    if (changes.length === 0 && rows[2].every(Number.isNaN)) return `${opening}: missing${end}`;
    const alone = this.aloneIn(rows);
    if (changes.length === 0 && !alone) {
      return `${opening} each token the same, within ${LEAST_CHANGE}${end}`;
    }
    const parts = leading(changes, (key) => this.changeWords(key, rows[0], rows[1]));
    return `${opening} ${[listed(parts), alone].filter(Boolean).join("; ")}${end}`;
  }

  opening(query) {
    const { differing } = this.state.keys;
    const [only] = differing;
    if (this.state.queries.differs(query)) {
      const [a, b] = [0, 1].map((side) => this.labeled(this.state.queries, query, side));
      return `${b} in place of ${a}`;
    }
    const isOneWord = differing.length === 1 && this.state.keys.isShared(only);
    const where = isOneWord
      ? `With ${this.labeled(this.state.keys, only, 1)}`
      : `In ${this.state.shortNames[1]}`;
    return `${where}, ${this.named(this.state.queries, query)}`;
  }

  /** Places whose weight changes, by how much. */
  changesOf(differences) {
    const places = Array.from(differences.keys());
    return places
      .filter((place) => Math.abs(differences[place]) >= LEAST_CHANGE)
      .sort((one, two) => Math.abs(differences[two]) - Math.abs(differences[one]));
  }

  changeWords(key, a, b) {
    const { keys } = this.state;
    if (!keys.differs(key))
      return `${this.named(keys, key)} ${figure(b[key])} instead of ${figure(a[key])}`;
    const [left, right] = [0, 1].map((side) => this.labeled(keys, key, side));
    return `${right} ${figure(b[key])} instead of ${left} ${figure(a[key])}`;
  }

  /** The largest weight to a token that only one of the two has. */
  aloneIn(rows) {
    const lone = this.state.keys.pairs
      .map((pair, place) => ({ place, side: pair[0] === null ? 1 : 0 }))
      .filter(
        ({ place, side }) => !this.state.keys.isShared(place) && rows[side][place] >= LEAST_CHANGE,
      )
      .sort((one, two) => rows[two.side][two.place] - rows[one.side][one.place]);
    if (lone.length === 0) return "";
    const [{ place, side }] = lone;
    return `${this.named(this.state.keys, place)}, only in ${this.state.shortNames[side]}, gets ${figure(rows[side][place])}`;
  }

  loneSentence(query, rows) {
    const side = this.state.queries.index(query, 0) === null ? 1 : 0;
    const strongest = Array.from(rows[side].keys())
      .filter((key) => !Number.isNaN(rows[side][key]))
      .sort((one, two) => rows[side][two] - rows[side][one])
      .slice(0, NAMED)
      .map((key) => `${this.labeled(this.state.keys, key, side)} ${figure(rows[side][key])}`);
    const most = strongest.length > 0 ? `It gives most to ${listed(strongest)}` : "It is missing";
    return `${this.named(this.state.queries, query)} is only in ${this.state.shortNames[side]}: there is no row to compare. ${most} (${this.state.headWords()}).`;
  }

  /** From which queries a key token gets more or less. */
  keySentence(key) {
    const name = this.named(this.state.keys, key);
    if (!this.state.keys.isShared(key)) {
      const side = this.state.keys.index(key, 0) === null ? 1 : 0;
      return `${name} is only in ${this.state.shortNames[side]}.`;
    }
    const rows = this.state.queries.pairs.map((_, query) =>
      [0, 1].map((side) => this.state.rowAt(query, side)[key]),
    );
    const changes = this.changesOf(Float64Array.from(rows, ([a, b]) => b - a));
    if (changes.length === 0)
      return `${name} gets the same from each token, within ${LEAST_CHANGE} (${this.state.headWords()}).`;
    const parts = leading(changes, (query) => {
      const [a, b] = rows[query].map(figure);
      return `${b} instead of ${a} from ${this.named(this.state.queries, query)}`;
    });
    return `In ${this.state.shortNames[1]}, ${name} gets ${listed(parts)} (${this.state.headWords()}).`;
  }
}

/** The first of a list in words, as many as a sentence has room for. */
function leading(list, words) {
  const parts = list.slice(0, NAMED).map(words);
  while (parts.length > 1 && parts.join().length > LONGEST_LIST) parts.pop();
  return parts;
}
