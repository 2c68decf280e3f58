// What the compare view shows: a head of each record, a query, a block; and its numbers.
import { below, fitting, oneOf, rowOfLayer } from "./address.js";
import { blockFrom, blockToLink } from "./block.js";
import { Places } from "./compare-places.js";
import { SCALES } from "./controls.js";
import { headName, shortened } from "./dom.js";
import { rowOf } from "./heads.js";

// So that a sentence fits into the room that is kept for it.
export const LONGEST_NAME = 20;

/** The state of a view of two records, `[A, B]`. */
export class CompareState {
  constructor(style, records) {
    Object.assign(this, { style, records, names: style.labels });
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
    // The place of the key that is chosen beside the query; it is the page's to remember.
    this.key = null;
    Object.assign(this, structuredClone({ ...this.first, block: null }));
  }

  /** The block that is seen. */
  get seen() {
    return this.block ?? this.whole;
  }

  /** The records that have a choice of their own: A for both, or A and B. */
  get sides() {
    return this.isOneChoice ? [0] : [0, 1];
  }

  /** Choose a head of A or of B; of both, where they have the same heads. */
  choose(side, row, head) {
    for (const one of this.isOneChoice ? [0, 1] : [side]) {
      this.rows[one] = row;
      this.heads[one] = head;
    }
  }

  /** First the token that attends, then the one attended to; a third begins anew. */
  chooseToken(side, place) {
    const isSelf = this.records.every(({ keys, queries }) => keys === queries);
    if (!isSelf) this[side === "query" ? "token" : "key"] = place;
    else if (place === this.token || place === this.key) this.key = null;
    else if (this.key === null) this.key = place;
    else Object.assign(this, { token: place, key: null });
  }

  /** The next layer or head. */
  step(side, down, right) {
    const { numLayers, numHeads } = this.records[side];
    const within = (value, end) => Math.min(Math.max(value, 0), end - 1);
    const row = within(this.rows[side] + down, numLayers);
    this.choose(side, row, within(this.heads[side] + right, numHeads));
  }

  /** See a part; the whole is no part. */
  select(block) {
    const isPart = block && Object.values(blockToLink(block, this.whole)).some(Boolean);
    this.block = isPart ? block : null;
  }

  /** L3H1, or of two models with their own heads "A L3H1, B L0H2". */
  headWords() {
    const names = [0, 1].map((side) => this.headOf(side));
    if (this.isOneChoice) return names[0];
    return names.map((name, side) => `${this.shortNames[side]} ${name}`).join(", ");
  }

  headOf(side) {
    return headName(this.records[side].layers[this.rows[side]], this.heads[side]);
  }

  /** What the query at a place gives to each key place, in A or in B; NaN for no token. */
  rowAt(query, side) {
    const values = new Float64Array(this.keys.length).fill(Number.NaN);
    const index = this.queries.index(query, side);
    if (index === null) return values;
    const row = rowOf(this.records[side], this.rows[side], this.heads[side], index);
    this.keys.pairs.forEach((pair, place) => {
      if (pair[side] !== null) values[place] = row[pair[side]];
    });
    return values;
  }

  /** As `rowAt`, in a panel: A, B, or the difference. */
  values(query, panel) {
    if (panel < 2) return this.rowAt(query, panel);
    const a = this.rowAt(query, 0);
    return this.rowAt(query, 1).map((value, key) => value - a[key]);
  }

  /** What of the state the address must say. */
  toLink() {
    const { first, records } = this;
    const differs = (now, before, value) => (now === before ? null : value);
    const link = {};
    for (const side of this.sides) {
      const ending = side === 0 ? "" : "-b";
      const layer = records[side].layers[this.rows[side]];
      link[`layer${ending}`] = differs(this.rows[side], first.rows[side], layer);
      link[`head${ending}`] = differs(this.heads[side], first.heads[side], this.heads[side]);
    }
    return {
      ...link,
      token: differs(this.token, first.token, this.tokenName(this.token)),
      scale: differs(this.scale, first.scale, this.scale),
      ...blockToLink(this.block, this.whole),
    };
  }

  /** A query as the address names it: a3 is token 3 of A, b3 one that only B has. */
  tokenName(place) {
    const [a, b] = this.queries.pairs[place];
    return a === null ? `b${b}` : `a${a}`;
  }

  /** Take over what the address says. */
  fromLink(link) {
    for (const side of this.sides) {
      const { layers, numHeads } = this.records[side];
      const ending = side === 0 ? "" : "-b";
      const names = { row: `layer${ending}`, head: `head${ending}` };
      const chosen = fitting(link, {
        [names.row]: rowOfLayer(layers),
        [names.head]: below(numHeads),
      });
      const row = chosen[names.row] ?? this.rows[side];
      this.choose(side, row, chosen[names.head] ?? this.heads[side]);
    }
    const tokens = this.queries.pairs.map((_, place) => this.tokenName(place));
    const choices = fitting(link, {
      token: (text) => (tokens.includes(text) ? tokens.indexOf(text) : null),
      scale: oneOf(SCALES.map(([name]) => name)),
    });
    Object.assign(this, choices);
    this.block = blockFrom(link, this.whole);
  }
}
