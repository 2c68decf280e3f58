// The map of a set: a cell for each head, framed where it is more than chance.
import { choice, DIRECTIONS } from "./controls.js";
import { colorBar } from "./figures.js";
import { headTrace } from "./head-grid.js";
import { adjustedP, mountHeadMap } from "./head-map.js";
import { readLink, writeLink } from "./link.js";
import { themed } from "./theme.js";

/** Build the view in its section. */
export function mountScoreMapView(section, style) {
  const link = readLink(section.id);
  let direction = style.directions[link.direction] ? link.direction : style.first.direction;
  const control = choice({
    name: "direction",
    label: "Direction",
    options: DIRECTIONS,
    value: direction,
    change(now) {
      direction = now;
      const isFirst = direction === style.first.direction;
      writeLink(section.id, { direction: isFirst ? null : direction });
      map.rebuild();
    },
  });
  const ends = ["0 % right", "100 % right"];
  const map = mountHeadMap(section, style, {
    name: "heads",
    values: () => style.directions[direction],
    trace: (values) => trace(style, values),
    describe,
    ends,
    title: () => `Accuracy, ${DIRECTIONS.find(([key]) => key === direction)[1]}`,
    colorbar: () => colorBar("", { tickvals: [-1, 0, 1], ticktext: [ends[0], "chance", ends[1]] }),
    controls: [control.root],
  });
}

function describe(values, row, head) {
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
  const p = adjusted === null ? "" : `, adjusted p ${adjustedP(adjusted)}`;
  // Where norms were scored, raw weights stand beside them.
  const raw = values.raw_accuracy?.[row][head];
  const beside = raw === undefined ? "" : `; by raw weights in ${percent(raw)} %`;
  return `right in ${percent(accuracy)} % of ${n} cases${range}${p}, in-sample${beside}`;
}

/** Colors run from the worst through chance to the best, however far chance is from the middle. */
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
