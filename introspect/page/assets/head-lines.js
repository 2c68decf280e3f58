// The lines of the head view as Plotly traces: one for each head and class of weight.
import { colorOf, themed, withOpacity } from "./theme.js";

// Between two lines the pen leaves the picture on the side where it begins: a path that is never
// lifted is one element of the page, and thousands of lines stay light.
const OUTSIDE = -20;

/** The class of a weight: the last edge that it reaches. */
function classOf(weight, edges) {
  let place = 0;
  while (place + 1 < edges.length && weight >= edges[place + 1]) place += 1;
  return place;
}

/** The pairs that are drawn: all in sight, or those of the tokens that are pointed at or pinned. */
function pairs(state, places) {
  const [queries, keys] = ["query", "key"].map((side) => [...places[side].keys()]);
  if (state.focal.length === 0) return queries.map((query) => [query, keys]);
  const focal = (side) => state.focal.filter((t) => t.side === side).map((t) => t.index);
  const own = new Set(focal("query"));
  const theirs = focal("key").filter((key) => places.key.has(key));
  return queries.map((query) => [query, own.has(query) ? keys : theirs]);
}

/** What is drawn: for each line set its color and weights. */
function lineSets(state, style) {
  const colors = themed(style.colors);
  if (state.drawn.length === 0) return [];
  if (state.isCombined) {
    return [{ color: colorOf("accent"), weight: (q, k) => state.together(q, k) }];
  }
  return state.heads.map((head) => ({
    color: colors[head],
    weight: (q, k) => state.pattern.weight(state.row, head, q, k),
    // Of a long text few weights are there; a walk over all pairs would find zeros.
    each: state.pattern.forEachWeight
      ? (q, visit) => state.pattern.forEachWeight(state.row, head, q, visit)
      : null,
  }));
}

/**
 * Traces of what is shown; a missing weight has no line, nor has a token that has no place.
 * @param {{query: Map<number, number>, key: Map<number, number>}} places where each token stands
 * @param {number} breadth the distance between the two sides
 * @param {boolean} isHorizontal tokens stand side by side, and lines go down
 * @param {boolean} isLifted end each line by itself, where the picture has room outside
 */
export function lineTraces(state, style, places, breadth, { isHorizontal, isLifted = false }) {
  const add = isLifted ? addLifted : addLine;
  const sets = lineSets(state, style);
  const { scale } = state;
  // Lines of many heads lie over each other, and would hide the strong ones.
  const dimming = state.focal.length > 0 ? 1 : sets.length ** -0.5;
  const wanted = pairs(state, places);
  return sets.flatMap(({ color, weight, each }) => {
    const classes = style.edges.map(() => ({ across: [], along: [], count: 0 }));
    for (const [query, keys] of wanted) {
      const from = places.query.get(query);
      const visit = (key, value) => {
        const part = value / scale;
        if (!(part >= state.threshold) || !places.key.has(key)) return;
        add(classes[classOf(part, style.edges)], from, places.key.get(key), breadth);
      };
      if (each && keys.length === places.key.size) each(query, visit);
      else for (const key of keys) visit(key, weight(query, key));
    }
    return classes.flatMap(({ across, along, count }, number) => {
      if (count === 0) return [];
      const [x, y] = isHorizontal ? [along, across] : [across, along];
      const shade = withOpacity(color, style.opacities[number] * dimming);
      const line = { color: shade, width: style.widths[number], simplify: false };
      return [{ type: "scatter", mode: "lines", x, y, line, hoverinfo: "skip", meta: { count } }];
    });
  });
}

function addLifted(lines, from, to, breadth) {
  lines.across.push(0, breadth, null);
  lines.along.push(from, to, null);
  lines.count += 1;
}

/** There and back, then outside to where the next one begins. */
function addLine(lines, from, to, breadth) {
  lines.across.push(OUTSIDE, 0, breadth, 0, OUTSIDE);
  lines.along.push(from, from, to, from, from);
  lines.count += 1;
}
