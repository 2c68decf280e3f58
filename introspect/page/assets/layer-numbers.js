// The numbers of the layer view: one token's weights to all others, layer by layer.
import { rowOf, weightOf } from "./heads.js";

/** Where the state's numbers are: by layer row and token of the other side. */
export class LayerNumbers {
  constructor(state, record, rollout) {
    Object.assign(this, { state, record, rollout });
  }

  /** What the chosen token gives in a layer to each token, or gets from each. */
  line(row) {
    const { state, record } = this;
    const [query, key] = state.side === "query" ? [state.token, null] : [null, state.token];
    if (state.weights === "rollout") return this.rolloutLine(row, query, key);
    const head = state.weights === "one" ? state.head : state.weights;
    if (key === null) return rowOf(record, row, head, query);
    return Float64Array.from({ length: record.queryLen }, (_, q) =>
      weightOf(record, row, head, q, key),
    );
  }

  rolloutLine(row, query, key) {
    const n = this.record.keyLen;
    const place = (other) => (key === null ? query * n + other : other * n + key);
    return Float64Array.from({ length: n }, (_, other) =>
      this.rollout.at(row * n * n + place(other)),
    );
  }

  /** What of a layer lies on some tokens together; of `max`, the largest of what one head gives. */
  share(row, tokens, line) {
    const { state, record } = this;
    if (state.weights !== "max") return tokens.reduce((sum, token) => sum + line[token], 0);
    let largest = 0;
    for (let head = 0; head < record.numHeads; head += 1) {
      const given = tokens.reduce((sum, token) => {
        const [query, key] = state.side === "query" ? [state.token, token] : [token, state.token];
        return sum + record.weight(row, head, query, key);
      }, 0);
      largest = Math.max(largest, given);
    }
    return largest;
  }

  /** How much of the token's attention the page of a long text does not hold, at most. */
  remainder() {
    const { state, record } = this;
    if (!record.kept || state.side === "key" || state.weights === "rollout") return null;
    const heads =
      state.weights === "one"
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
