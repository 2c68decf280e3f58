// The lines of the head view as Plotly traces: one for each head and class of weight.

/** The class of a weight: the last edge that it reaches. */
function classOf(weight, edges) {
  let found = 0;
  while (found + 1 < edges.length && weight >= edges[found + 1]) found += 1;
  return found;
}

function withOpacity(colour, opacity) {
  const channels = [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16));
  return `rgba(${channels.join(",")},${opacity})`;
}

function rounded(opacity) {
  return Math.round(opacity * 1000) / 1000;
}

/** The query and key ranges that are drawn: all, or only the lines of one token. */
function ranges(record, token) {
  const whole = (length) => [0, length];
  const one = (index) => [index, index + 1];
  const isQuery = token?.side === "query";
  return {
    queries: isQuery ? one(token.index) : whole(record.queryLen),
    keys: token && !isQuery ? one(token.index) : whole(record.keyLen),
  };
}

/** Traces of the shown heads of a layer row; a missing weight has no line. */
export function lineTraces(record, row, heads, token, threshold, style) {
  const { queries, keys } = ranges(record, token);
  // Lines of many heads lie over each other, and would hide the strong ones.
  const dimming = token ? 1 : heads.length ** -0.5;
  const traces = [];
  for (const head of heads) {
    const classes = style.edges.map(() => ({ x: [], y: [] }));
    for (let query = queries[0]; query < queries[1]; query += 1) {
      for (let key = keys[0]; key < keys[1]; key += 1) {
        const weight = record.weight(row, head, query, key);
        if (!(weight >= threshold)) continue;
        const lines = classes[classOf(weight, style.edges)];
        lines.x.push(0, 1, null);
        lines.y.push(query, key, null);
      }
    }
    classes.forEach((lines, number) => {
      if (lines.x.length === 0) return;
      traces.push({
        type: "scatter",
        mode: "lines",
        ...lines,
        line: {
          color: withOpacity(style.colours[head], rounded(style.opacities[number] * dimming)),
          width: style.widths[number],
        },
        hoverinfo: "skip",
      });
    });
  }
  return traces;
}
