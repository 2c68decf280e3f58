// The logit view: a map of what each head adds to a logit, and a list of all parts.
import { choice } from "./controls.js";
import { element, headName, signed } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { colorBar, paperLayout } from "./figures.js";
import { drawHeads, headAxes, headGrid, headTrace, scaleLegend } from "./head-grid.js";
import { namedHead, readLink, writeLink } from "./link.js";
import { onWidth } from "./plot.js";
import { onTheme, themed } from "./theme.js";

const CELL_HEIGHT = 30;
const MOST = 12;

/** Build the view in its section. */
export function mountLogitsView(section, style) {
  const kinds = Object.keys(style.maps);
  const link = readLink(section.id);
  let kind = kinds.includes(link.kind) ? link.kind : kinds[0];
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const holder = element("div", { class: "score-map" });
  const legendHolder = element("div", {});
  const ranking = element("div", { class: "ranking" });
  const control = choice({
    name: "kind",
    label: "Attention",
    options: kinds.map((name) => [name, name]),
    value: kind,
    change(name) {
      kind = name;
      writeLink(section.id, { kind: kind === kinds[0] ? null : kind, head: null });
      rebuild(strongest());
    },
  });
  const exports = exportButtons("logit-view", () => figure(style, kind));
  const controls = kinds.length > 1 ? [control.root, exports] : [exports];
  section.append(
    element("div", { class: "controls" }, controls),
    reading,
    holder,
    legendHolder,
    ranking,
  );
  let grid = null;

  function strongest() {
    return parts(style, kind).find(({ place }) => place)?.place ?? [0, 0];
  }

  function rebuild(place) {
    const { layers, values } = style.maps[kind];
    grid = headGrid(layers, values[0].length, (row, head) => logits(values[row][head]), {
      choose,
      point: say,
    });
    holder.replaceChildren(grid.root);
    onWidth(grid.picture.parentElement, paint);
    const most = largest(values).toFixed(2);
    legendHolder.replaceChildren(scaleLegend(style.scale, `−${most}`, `+${most} logits`));
    ranking.replaceChildren(table(style, kind));
    grid.mark(...place);
    say(...place);
  }

  function choose(row, head) {
    grid.mark(row, head);
    say(row, head);
    writeLink(section.id, { head: headName(style.maps[kind].layers[row], head) });
  }

  function say(row, head) {
    const { layers, values } = style.maps[kind];
    const name = headName(layers[row], head);
    reading.textContent = `${name}: ${logits(values[row][head])} of ${signed(style.logit)} in all.`;
  }

  function paint() {
    drawHeads(grid, trace(style, kind), CELL_HEIGHT);
  }
  onTheme(paint);
  const { layers, values } = style.maps[kind];
  rebuild(namedHead(link.head, layers, values[0].length) ?? strongest());
}

function logits(value) {
  return `${signed(value)} logits`;
}

function largest(values) {
  return Math.max(...values.flat().map(Math.abs)) || 1;
}

/** The heads of a kind and everything that is no head, those that add or take most first. */
function parts(style, kind) {
  const { layers, values } = style.maps[kind];
  const heads = values.flatMap((line, row) =>
    line.map((value, head) => ({ name: headName(layers[row], head), value, place: [row, head] })),
  );
  const rest = style.rest.map(([name, value]) => ({ name, value, place: null }));
  return [...heads, ...rest].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
}

function table(style, kind) {
  const all = parts(style, kind);
  const lines = all.slice(0, MOST).map(({ name, value }) => lineOf(name, value));
  const names = ["part", "adds"].map((name) =>
    element("th", { scope: "col", class: "column" }, name),
  );
  return element("table", { class: "data" }, [
    element("caption", {}, "The parts that add or take most"),
    element("thead", {}, element("tr", {}, names)),
    element("tbody", {}, lines),
    element("tfoot", {}, lineOf("all parts, the model’s own number", style.logit)),
  ]);
}

function lineOf(name, value) {
  return element("tr", {}, [
    element("td", { class: "datum" }, name),
    element("td", { class: "datum" }, signed(value)),
  ]);
}

function trace(style, kind) {
  const { values } = style.maps[kind];
  const most = largest(values);
  return headTrace(values, [-most, most], themed(style.scale));
}

function figure(style, kind) {
  const { layers, values } = style.maps[kind];
  return {
    data: [{ ...trace(style, kind), showscale: true, colorbar: colorBar("logits") }],
    layout: paperLayout(style.of, {
      width: 240 + 50 * Math.max(6, values[0].length),
      height: 110 + 34 * layers.length,
      margin: { l: 60, r: 110, t: 80, b: 20 },
      ...headAxes(layers, values[0].length),
    }),
  };
}
