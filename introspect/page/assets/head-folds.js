// Which rows of a long text a head view shows: those with weight. The others fold.

/** Up to so many tokens a side is shown whole. */
export const MOST_WHOLE = 80;
/** So many rows a side has where it is folded, folds among them. */
export const ROOM = 44;
// Less than this is written as 0.00.
const LEAST = 0.005;
// Where all weights are small, so many are seen.
const FEWEST = 8;

/**
 * The rows of a side: of each its token, or the tokens that fold there, or those that can fold again.
 * @param {number[]} shown the tokens that there are, in order
 * @param {Iterable<number>} kept tokens that have a row whatever there is room for
 * @param {Iterable<number>} wanted tokens that have a row where there is room, first the foremost
 * @param {number[][]} opened tokens that were folded, and were asked for
 * @returns {({token: number} | {folded: number[]} | {opened: number[]})[]}
 */
export function foldedRows(shown, kept, wanted, opened = [], room = ROOM) {
  const placeOf = new Map(shown.map((token, place) => [token, place]));
  const has = new Uint8Array(shown.length);
  const isTaken = (place) => place < 0 || place >= shown.length || has[place] === 1;
  let count = 1;
  const take = (token) => {
    const place = placeOf.get(token);
    if (place === undefined || has[place]) return;
    // A row of its own; and a fold is cut in two, or shortened, or gone.
    count += 2 - Number(isTaken(place - 1)) - Number(isTaken(place + 1));
    has[place] = 1;
  };
  for (const tokens of [...opened, kept]) for (const token of tokens) take(token);
  const limit = Math.max(room, count);
  for (const token of wanted) {
    if (count + 2 > limit) break;
    take(token);
  }
  return rowsFrom(shown, has, new Map(opened.map((tokens) => [tokens[0], tokens])));
}

function rowsFrom(shown, has, openings) {
  const rows = [];
  let folded = [];
  const close = () => {
    // A fold is as high as the token in it.
    if (folded.length === 1) rows.push({ token: folded[0] });
    else if (folded.length > 1) rows.push({ folded });
    folded = [];
  };
  for (const [place, token] of shown.entries()) {
    if (!has[place]) {
      folded.push(token);
      continue;
    }
    close();
    if (openings.has(token)) rows.push({ opened: openings.get(token) });
    rows.push({ token });
  }
  close();
  return rows;
}

/** The tokens of a side that share weight with those that are pointed at or pinned, most first. */
export function tokensWithWeight(shown, strengths) {
  const weights = new Map(shown.map((token, place) => [token, strengths[place]]));
  return shown
    .filter((token) => weights.get(token) > 0)
    .sort((a, b) => weights.get(b) - weights.get(a))
    .filter((token, rank) => rank < FEWEST || weights.get(token) >= LEAST);
}

/**
 * The tokens of the strongest lines, a line of each query, the strongest first.
 *
 * Lines to special tokens and to the token itself come last: nearly every token has them.
 * @returns {{query: number[], key: number[]}}
 */
export function tokensOfLines(state) {
  const { pattern, row, drawn, isCombined } = state;
  const isSelf = pattern.keys === pattern.queries;
  const keys = state.shown("key");
  const known = keys.length < pattern.keyLen ? new Set(keys) : null;
  const together = isCombined ? state.whole() : null;
  const lines = state.shown("query").map((query) => {
    let [best, most, isBestPlain] = [-1, 0, false];
    const visit = (key, weight) => {
      // Most of a long text's weights are small: what cannot be the best is left first.
      if (!(weight > most) && (isBestPlain || !(weight > LEAST))) return;
      const isPlain = !pattern.keys.special[key] && !(isSelf && key === query);
      const isBetter = isPlain === isBestPlain ? weight > most : isPlain && weight > LEAST;
      if (isBetter && (!known || known.has(key)))
        [best, most, isBestPlain] = [key, weight, isPlain];
    };
    if (together) for (const key of keys) visit(key, together[query * pattern.keyLen + key]);
    else for (const head of drawn) pattern.forEachWeight(row, head, query, visit);
    return {
      query,
      key: best,
      weight: most,
      isPlain: isBestPlain && !pattern.queries.special[query],
    };
  });
  lines.sort((a, b) => Number(b.isPlain) - Number(a.isPlain) || b.weight - a.weight);
  const found = lines.filter(({ key }) => key !== -1);
  return { query: found.map(({ query }) => query), key: found.map(({ key }) => key) };
}
