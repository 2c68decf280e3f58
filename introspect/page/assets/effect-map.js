// The map of effects: a cell for each head, by what taking it out does, framed where that stands out.
import { number } from "./causal-words.js";
import { colorBar } from "./figures.js";
import { headTrace } from "./head-grid.js";
import { adjustedP, mountHeadMap } from "./head-map.js";
import { themed } from "./theme.js";

/** Build the view in its section. */
export function mountEffectMapView(section, style) {
  const { largest, unit, isSurrogate } = style;
  const surrogate = isSurrogate ? " (surrogate)" : "";
  const ends = [`−${number(largest)} ${unit}`, `+${number(largest)} ${unit}${surrogate}`];
  mountHeadMap(section, style, {
    name: "effects",
    values: () => style.values,
    trace: ({ effect }) => headTrace(effect, [-largest, largest], themed(style.scale)),
    describe: (values, row, head) => describe(style, values, row, head),
    ends,
    title: () => `Effect of taking each head out${surrogate}`,
    colorbar: () => colorBar(unit),
  });
}

function describe({ unit, isSurrogate }, values, row, head) {
  const [effect, low, high, control, adjusted, n] = [
    "effect",
    "ci_low",
    "ci_high",
    "control",
    "p_adjusted",
    "n",
  ].map((name) => values[name][row][head]);
  if (effect === null) return "not measured";
  const range = low === null ? "" : ` (95 %: ${number(low)} to ${number(high)})`;
  const others = control === null ? "" : `, other heads of its layer ${number(control)}`;
  const p = adjusted === null ? "" : `, adjusted p ${adjustedP(adjusted)}`;
  const of = isSurrogate ? " on a surrogate" : "";
  return `effect${of} ${number(effect)} ${unit}${range}${others}${p}, ${n} ${n === 1 ? "case" : "cases"}`;
}
