// The numbers of the layer view: one token's weights to all others, layer by layer.
import { rowOf, weightOf } from "./heads.js";

/** Where the state's numbers are: by layer row and token of the other side. */
export class LayerNumbers {
  constructor(state, record) {
    Object.assign(this, { state, record });
  }

  /** What the chosen token gives in a layer to each token, or gets from each. */
  line(row) {
    const { state } = this;
    const { pattern } = state;
    const [query, key] = state.side === "query" ? [state.token, null] : [null, state.token];
    const head = state.combine === "one" ? state.head : state.combine;
    if (key === null) return rowOf(pattern, row, head, query);
    return Float64Array.from({ length: pattern.queryLen }, (_, q) =>
      weightOf(pattern, row, head, q, key),
    );
  }

  /** What of a layer lies on some tokens together; of `max`, the largest of what one head gives. */
  share(row, tokens, line) {
    const { state } = this;
    const { pattern } = state;
    if (state.combine !== "max") return tokens.reduce((sum, token) => sum + line[token], 0);
    let largest = 0;
    for (let head = 0; head < pattern.numHeads; head += 1) {
      const given = tokens.reduce((sum, token) => {
        const [query, key] = state.side === "query" ? [state.token, token] : [token, state.token];
        return sum + pattern.weight(row, head, query, key);
      }, 0);
      largest = Math.max(largest, given);
    }
    return largest;
  }

  /** How much of the token's attention the page of a long text does not hold, at most. */
  remainder() {
    const { state, record } = this;
    if (!record.kept || state.side === "key" || state.method) return null;
    const heads =
      state.combine === "one"
        ? [state.head]
        : Array.from({ length: record.numHeads }, (_, head) => head);
    const means = record.layers.map(
      (_, row) =>
        heads.reduce((sum, head) => sum + record.remainder(row, head, state.token), 0) /
        heads.length,
    );
    return Math.max(...means);
  }
}

/** The place of the largest number among some; -1 where all are missing. */
export function largestPlace(line, places) {
  let best = -1;
  for (const place of places) {
    if (!Number.isNaN(line[place]) && (best === -1 || line[place] > line[best])) best = place;
  }
  return best;
}
