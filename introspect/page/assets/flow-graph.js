// What passes over the edges between tokens and layers: the numbers of the flow view.
//
// An edge leads from a token before a layer (its key) to a token after it (its query). Its share is
// the part of the query that comes from the key; what it carries is its part of the chosen words.

// More lines than this are drawn as slowly as nobody can tell them apart.
const MOST_DRAWN = 5000;

/** The shares of a method, in rows that sum to 1, and what they make of chosen words. */
export class FlowGraph {
  /**
   * @param {{at: Function, shape: number[]}} shares of layers, queries and keys; rows may be missing
   * @param {{at: Function}} largest how much of any one word reaches each token after each layer
   */
  constructor(shares, largest) {
    const [numLayers, size] = shares.shape;
    Object.assign(this, { numLayers, size, largest });
    this.shares = new Float64Array(numLayers * size * size);
    this.missing = new Set();
    for (let line = 0; line < numLayers * size; line += 1) this.readRow(shares, line);
  }

  /** Codes are a little off: what is read of a row is made to sum to 1. */
  readRow(shares, line) {
    const { size } = this;
    const start = line * size;
    let sum = 0;
    for (let place = start; place < start + size; place += 1) {
      this.shares[place] = shares.at(place);
      sum += this.shares[place];
    }
    if (!(sum > 0)) this.missing.add(line);
    for (let place = start; place < start + size; place += 1) {
      this.shares[place] = sum > 0 ? this.shares[place] / sum : 0;
    }
  }

  share(row, query, key) {
    return this.shares[(row * this.size + query) * this.size + key];
  }

  isMissing(row, query) {
    return this.missing.has(row * this.size + query);
  }

  /**
   * The edges on paths into tokens after the last layer.
   * @param {number[] | null} tokens a word's tokens, in equal parts; null for each token by itself
   * @param {number} least what an edge must carry at least
   */
  into(tokens, least) {
    const { numLayers, size } = this;
    const amounts = Array.from({ length: numLayers + 1 }, () => new Float64Array(size));
    for (const token of tokens ?? amounts[numLayers].keys()) {
      amounts[numLayers][token] = 1 / (tokens?.length ?? 1);
    }
    const found = [];
    const reached = amounts[numLayers].map((amount) => (amount > 0 ? Number.POSITIVE_INFINITY : 0));
    let widest = reached;
    for (let row = numLayers - 1; row >= 0; row -= 1) {
      const below = new Float64Array(size);
      for (let query = 0; query < size; query += 1) {
        const amount = tokens ? amounts[row + 1][query] : this.largestOf(row, query);
        if (amount > 0) {
          const node = { row, query, amount, least };
          this.follow(
            node,
            widest[query],
            { amounts: amounts[row], below, found },
            tokens !== null,
          );
        }
      }
      widest = below;
    }
    return new FlowEdges(found, amounts, numLayers);
  }

  largestOf(row, query) {
    return row === this.numLayers - 1 ? 1 : this.largest.at(row * this.size + query);
  }

  /** One node's edges downwards. */
  follow({ row, query, amount, least }, above, { amounts, below, found }, isSum) {
    const { shares, size } = this;
    const start = (row * size + query) * size;
    for (let key = 0; key < size; key += 1) {
      const carried = amount * shares[start + key];
      amounts[key] = isSum ? amounts[key] + carried : Math.max(amounts[key], carried);
      const narrow = Math.min(above, carried);
      if (narrow > below[key]) below[key] = narrow;
      if (narrow >= least) found.push({ row, query, key, amount: carried, widest: narrow });
    }
  }
}

/** Edges in the order in which a falling threshold lets them in. */
export class FlowEdges {
  constructor(found, amounts, numLayers) {
    found.sort((a, b) => b.widest - a.widest || b.amount - a.amount);
    this.all = found.slice(0, MOST_DRAWN);
    this.isCut = found.length > MOST_DRAWN;
    Object.assign(this, { amounts, numLayers });
  }

  /** How many lie on paths whose every edge carries so much. */
  countFrom(threshold) {
    let [low, high] = [0, this.all.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.all[middle].widest >= threshold) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The tokens that the first so many edges touch, and those after the last layer. */
  touched(count) {
    const tokens = new Set();
    this.amounts[this.numLayers].forEach((amount, token) => {
      if (amount > 0) tokens.add(token);
    });
    for (let place = 0; place < count; place += 1) {
      tokens.add(this.all[place].query);
      tokens.add(this.all[place].key);
    }
    return tokens;
  }

  /** What reaches a token: before the first layer at column 0, after the last one in the last. */
  amount(column, token) {
    return this.amounts[column][token];
  }
}

/** The parts of heads in one edge, the largest first: by a pattern's numbers. */
export function headParts(pattern, numHeads, { row, query, key }) {
  const parts = Array.from({ length: numHeads }, (_, head) => ({
    head,
    part: pattern.weight(row, head, query, key) || 0,
  }));
  const sum = parts.reduce((total, { part }) => total + part, 0);
  if (!(sum > 0)) return [];
  return parts
    .map(({ head, part }) => ({ head, part: part / sum }))
    .sort((a, b) => b.part - a.part || a.head - b.head);
}
