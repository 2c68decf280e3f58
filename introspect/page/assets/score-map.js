// The map of a set: a cell for each head, framed where it is more than chance.
import { choice, DIRECTIONS } from "./controls.js";
import { element, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { colourBar, paperLayout } from "./figures.js";
import { drawHeads, headAxes, headGrid, headTrace, scaleLegend } from "./head-grid.js";
import { namedHead, readLink, writeLink } from "./link.js";
import { onWidth } from "./plot.js";
import { colourOf, onTheme, themed } from "./theme.js";

const CELL_HEIGHT = 30;
const SIGNIFICANT = 0.05;

/** Build the view in its section. */
export function mountScoreMapView(section, style) {
  const link = readLink(section.id);
  const state = {
    direction: style.directions[link.direction] ? link.direction : style.first.direction,
    row: Math.max(0, style.layers.indexOf(style.first.layer)),
    head: style.first.head,
  };
  const first = [state.row, state.head];
  [state.row, state.head] = namedHead(link.head, style.layers, style.numHeads) ?? first;
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const holder = element("div", { class: "score-map" });
  const values = () => style.directions[state.direction];
  const control = choice({
    name: "direction",
    label: "Direction",
    options: DIRECTIONS,
    value: state.direction,
    change(direction) {
      state.direction = direction;
      const isFirst = direction === style.first.direction;
      writeLink(section.id, { direction: isFirst ? null : direction });
      rebuild();
    },
  });
  const exports = exportButtons("heads", () => figure(style, values(), state.direction));
  const legend = scaleLegend(style.scale, "0 % right", "100 % right");
  section.append(
    element("div", { class: "controls" }, [control.root, exports]),
    reading,
    holder,
    legend,
  );
  let grid = null;

  function rebuild() {
    const describe = (row, head) => describeHead(values(), row, head);
    grid = headGrid(style.layers, style.numHeads, describe, { choose, point: say });
    grid.emphasise(significant(values()));
    holder.replaceChildren(grid.root);
    onWidth(grid.picture.parentElement, paint);
    choose(state.row, state.head);
  }

  function choose(row, head) {
    Object.assign(state, { row, head });
    grid.mark(row, head);
    say(row, head);
    const isFirst = row === first[0] && head === first[1];
    writeLink(section.id, { head: isFirst ? null : headName(style.layers[row], head) });
  }

  function say(row, head) {
    const name = headName(style.layers[row], head);
    reading.textContent = `${name}: ${describeHead(values(), row, head)}.`;
  }

  function paint() {
    drawHeads(grid, trace(style, values()), CELL_HEIGHT);
  }
  onTheme(paint);
  rebuild();
}

function significant({ p_adjusted: adjusted }) {
  return adjusted.flatMap((line, row) =>
    line.flatMap((p, head) => (p !== null && p < SIGNIFICANT ? [[row, head]] : [])),
  );
}

function describeHead(values, row, head) {
  const [accuracy, low, high, adjusted, n] = [
    "accuracy",
    "ci_low",
    "ci_high",
    "p_adjusted",
    "n",
  ].map((name) => values[name][row][head]);
  if (accuracy === null) return "cannot be observed in this direction";
  const percent = (value) => (100 * value).toFixed(1);
  const range = low === null ? "" : ` (95 %: ${percent(low)}–${percent(high)})`;
  const size = adjusted < 0.001 ? "below 0.001" : adjusted?.toFixed(3);
  const p = adjusted === null ? "" : `, adjusted p ${size}`;
  // Where norms were scored, raw weights stand beside them.
  const raw = values.raw_accuracy?.[row][head];
  const beside = raw === undefined ? "" : `; by raw weights in ${percent(raw)} %`;
  return `right in ${percent(accuracy)} % of ${n} cases${range}${p}, in-sample${beside}`;
}

/** Colours run from the worst through chance to the best, however far chance is from the middle. */
function trace(style, values) {
  const { chance } = style;
  const z = values.accuracy.map((line) =>
    line.map((value) => {
      if (value === null) return null;
      return value < chance ? (value - chance) / chance : (value - chance) / (1 - chance);
    }),
  );
  return headTrace(z, [-1, 1], themed(style.scale));
}

function figure(style, values, direction) {
  const [, name] = DIRECTIONS.find(([key]) => key === direction);
  const frames = significant(values).map(([row, head]) => ({
    type: "rect",
    x0: head - 0.48,
    x1: head + 0.48,
    y0: row - 0.48,
    y1: row + 0.48,
    line: { color: colourOf("ink"), width: 1.5 },
  }));
  const ends = ["0 % right", "chance", "100 % right"];
  const colorbar = colourBar("", { tickvals: [-1, 0, 1], ticktext: ends });
  return {
    data: [{ ...trace(style, values), showscale: true, colorbar }],
    layout: paperLayout(`Accuracy, ${name}`, {
      width: 170 + 50 * style.numHeads,
      height: 110 + 34 * style.layers.length,
      margin: { l: 60, r: 110, t: 80, b: 20 },
      ...headAxes(style.layers, style.numHeads),
      shapes: frames,
    }),
  };
}
