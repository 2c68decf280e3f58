// What the heatmap view says of what is pointed at.
import { blockWords } from "./block.js";
import { figure, quoted } from "./dom.js";
import { headWords, weightOf } from "./heads.js";

const NAMED = 3;

/** Sentences about a view: its record, its state, its block and its panel. */
export class HeatmapWords {
  constructor(view) {
    this.view = view;
  }

  /** Which head is shown. */
  head() {
    const { record, state } = this.view;
    return headWords(record, state.row, state.head, state.weights);
  }

  /** What is pointed at, in a sentence. */
  sentence([query, key], anchors) {
    if (query !== null && key !== null) return this.cellSentence(query, key);
    const anchored = Object.entries(anchors).find(([, position]) => position !== null);
    const pointed = query === null ? ["key", key] : ["query", query];
    const isElsewhere = pointed[1] !== null && String(pointed) !== String(anchored);
    if (isElsewhere) return this.tokenSentence(query, key);
    if (anchored) {
      return `The range begins at ${anchored[0]} ${this.named(...anchored)}. Click its last token with Shift.`;
    }
    const part = blockWords(this.view.block, this.view.whole);
    return `Showing ${this.head()}${part ? `: ${part}` : ""}.`;
  }

  named(side, position) {
    const { labels } = side === "query" ? this.view.record.queries : this.view.record.keys;
    return quoted(labels[position]);
  }

  weight(query, key) {
    const { pattern, state } = this.view;
    return weightOf(pattern, state.row, state.head, query, key);
  }

  cellSentence(query, key) {
    const { factor } = this.view.panel;
    const [q, k] = factor === 1 ? [query, key] : this.strongestIn(query, key);
    const of = factor === 1 ? "" : `, the largest of ${factor} × ${factor} here`;
    const pair = `${this.named("query", q)} → ${this.named("key", k)}`;
    return `${pair}: ${figure(this.weight(q, k))}${of} (${this.head()})${this.leftOut(q)}`;
  }

  /** The pair of a drawn cell that gave it its color. */
  strongestIn(query, key) {
    const { block, factor } = this.view.panel;
    const starts = [
      [query, block.query],
      [key, block.key],
    ].map(([place, [first, last]]) => {
      const start = place - ((place - first) % factor);
      return [start, Math.min(start + factor - 1, last)];
    });
    let best = [starts[0][0], starts[1][0]];
    for (let q = starts[0][0]; q <= starts[0][1]; q += 1) {
      for (let k = starts[1][0]; k <= starts[1][1]; k += 1) {
        const isFirst = Number.isNaN(this.weight(...best));
        if (isFirst || this.weight(q, k) > this.weight(...best)) best = [q, k];
      }
    }
    return best;
  }

  tokenSentence(query, key) {
    const isQuery = query !== null;
    const [first, last] = isQuery ? this.view.block.key : this.view.block.query;
    const others = [];
    for (let other = first; other <= last; other += 1) {
      const weight = isQuery ? this.weight(query, other) : this.weight(other, key);
      if (!Number.isNaN(weight)) others.push([other, weight]);
    }
    others.sort((a, b) => b[1] - a[1]);
    const side = isQuery ? "key" : "query";
    const list = others
      .slice(0, NAMED)
      .map(([other, weight]) => `${this.named(side, other)} ${figure(weight)}`);
    const token = isQuery ? this.named("query", query) : this.named("key", key);
    const verb = isQuery ? "gives most to" : "gets most from";
    return `${token} ${verb}: ${list.join(", ") || "missing"} (${this.head()})`;
  }

  /** How much of a row the page of a long text does not hold. */
  leftOut(query) {
    const { pattern: record, state } = this.view;
    if (!record.kept || typeof state.head !== "number") return "";
    const rest = figure(record.remainder(state.row, state.head, query));
    return `; ${rest} of this row is in weights that the page leaves out`;
  }
}
