// What a reader has chosen: a head, two words, and how their numbers are read.
//
// There is one choice for each record of the page, which all its views read and write; the address
// holds what differs from how the page began. Pointing at something is no choice.
import { below, fitting, headNamed, oneOf, several } from "./address.js";
import { headName } from "./dom.js";
import { readLink, writeLink } from "./link.js";
import { weighingsOf } from "./weighings.js";

const GRANULARITIES = ["token", "word"];
/** Weights that are the record's own, without special tokens and the word itself. */
export const RENORMALIZED = "renormalized";

const selections = new Map();

/** The choice that belongs to a record; who asks first says how it begins. */
export function selectionOf(record, first = {}) {
  if (!selections.has(record)) selections.set(record, new Selection(record, first));
  return selections.get(record);
}

/** The choices about one record. */
class Selection {
  constructor(record, first) {
    this.record = record;
    this.owner = record.number === 0 ? "selection" : `selection${record.number + 1}`;
    this.listeners = new Set();
    const none = { row: 0, head: 0, query: null, key: null, pins: [] };
    this.first = { ...none, weights: "raw", granularity: "word", ...first };
    Object.assign(this, this.first, this.linked());
    this.show();
  }

  /** "L3H1.q10.k2": the head, the token that attends and the one attended to. */
  get name() {
    const { record, row, head, query, key } = this;
    const tokens = [query === null ? "" : `.q${query}`, key === null ? "" : `.k${key}`];
    return `${headName(record.layers[row], head)}${tokens.join("")}`;
  }

  /**
   * Choose; everybody else is told.
   * @param {object} change what is chosen, by name
   * @param {Function} by the listener that need not be told
   */
  set(change, by = null) {
    const differs = ([name, value]) => String(this[name]) !== String(value);
    const changed = Object.fromEntries(Object.entries(change).filter(differs));
    if (Object.keys(changed).length === 0) return;
    Object.assign(this, changed);
    writeLink(this.owner, this.toLink());
    this.show();
    for (const listener of this.listeners) if (listener !== by) listener(changed, this);
  }

  /** Whether something is chosen other than it was in the beginning. */
  hasChanged(name) {
    return String(this[name]) !== String(this.first[name]);
  }

  /** Call back with what was chosen so far, and after every later choice of somebody else's. */
  follow(listener) {
    const chosen = Object.keys(this.first).filter((name) => this.hasChanged(name));
    if (chosen.length > 0) {
      listener(Object.fromEntries(chosen.map((name) => [name, this[name]])), this);
    }
    this.listeners.add(listener);
  }

  /** Say to programs what is chosen. */
  show() {
    document.documentElement.dataset.selection = this.name;
  }

  toLink() {
    const { record } = this;
    const texts = {
      head: ({ row, head }) => headName(record.layers[row], head),
      query: ({ query }) => query ?? "none",
      key: ({ key }) => key ?? "none",
      pins: ({ pins }) => pins.join(",") || "none",
      weights: ({ weights }) => weights,
      granularity: ({ granularity }) => granularity,
    };
    return Object.fromEntries(
      Object.entries(texts).map(([name, text]) => {
        const now = String(text(this));
        return [name, now === String(text(this.first)) ? null : now];
      }),
    );
  }

  /** What the address says, where it fits the record. */
  linked() {
    const { record, first } = this;
    const token = (count) => (text) => (text === "none" ? -1 : below(count)(text));
    const weights = weighingsOf(record).map(([name]) => name);
    const { head, query, key, ...others } = fitting(readLink(this.owner), {
      head: headNamed(record.layers, record.numHeads),
      query: token(record.queryLen),
      key: token(record.keyLen),
      pins: several(below(record.queryLen)),
      weights: oneOf([...weights, RENORMALIZED]),
      granularity: oneOf(GRANULARITIES),
    });
    const chosen = (index, before) => (index === undefined ? before : index === -1 ? null : index);
    const place = head ? { row: head[0], head: head[1] } : {};
    return {
      ...place,
      ...others,
      query: chosen(query, first.query),
      key: chosen(key, first.key),
    };
  }
}
