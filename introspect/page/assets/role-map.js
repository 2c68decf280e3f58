// The map of roles: a cell for each head, of one role at a time, and the heads that have most of it.
import { choice } from "./controls.js";
import { element, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { headFrames, headGrid, scaleLegend } from "./head-grid.js";
import { readLink, writeLink } from "./link.js";
import { draw, onWidth } from "./plot.js";
import { colorOf, onTheme, themed } from "./theme.js";

const CELL_HEIGHT = 30;
const MOST = 10;

/** Build the view in its section. */
export function mountRoleMapView(section, style) {
  const find = (name) => style.roles.find((role) => role.name === name);
  const link = readLink(section.id);
  let role = find(link.role) ?? find(style.first);
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const words = element("p", { class: "reading" });
  const holder = element("div", { class: "score-map" });
  const legendHolder = element("div", {});
  const ranking = element("div", { class: "ranking" });
  const control = choice({
    name: "role",
    label: "Role",
    options: style.roles.map(({ name, title }) => [name, title]),
    value: role.name,
    change(name) {
      role = find(name);
      writeLink(section.id, { role: name === style.first ? null : name });
      rebuild();
    },
  });
  const exports = exportButtons("roles", () => figure(style, role));
  section.append(
    element("div", { class: "controls" }, [control.root, exports]),
    words,
    reading,
    holder,
    legendHolder,
    ranking,
  );
  let grid = null;

  function rebuild() {
    words.textContent = `${role.title}: ${role.words}.`;
    grid = headGrid(style.layers, style.numHeads, (row, head) => describe(role, row, head), {
      choose,
      point: say,
    });
    grid.emphasize(role.framed ?? []);
    holder.replaceChildren(grid.root);
    grid.root.style.setProperty("--cell-height", `${CELL_HEIGHT}px`);
    onWidth(grid.picture.parentElement, paint);
    legendHolder.replaceChildren(scaleLegend(style.scale, "0", shown(role, ceiling(role))));
    const sorted = heads(role);
    ranking.replaceChildren(table(style, role, sorted.slice(0, MOST)));
    choose(...(sorted[0] ?? [0, 0]));
  }

  function choose(row, head) {
    grid.mark(row, head);
    say(row, head);
  }

  function say(row, head) {
    reading.textContent = `${headName(style.layers[row], head)}: ${describe(role, row, head)}.`;
  }

  function paint(width) {
    draw(grid.picture, [trace(style, role)], {
      x: [-0.5, style.numHeads - 0.5],
      y: [style.layers.length - 0.5, -0.5],
      width,
      height: CELL_HEIGHT * style.layers.length,
    });
  }
  onTheme(() => paint(grid.picture.parentElement.clientWidth));
  rebuild();
}

/** Row and head of all heads that have the role, those with most of it first. */
function heads({ values }) {
  const all = values.flatMap((line, row) => line.map((_, head) => [row, head]));
  const known = all.filter(([row, head]) => values[row][head] !== null);
  return known.sort(([a, b], [c, d]) => values[c][d] - values[a][b]);
}

/** Where the colors end: at what the role can reach at most, or at the head with most of it. */
function ceiling({ values, most }) {
  return most ?? Math.max(0, ...values.flat().filter((value) => value !== null));
}

function shown({ unit }, value) {
  if (unit === "bits" || unit === "tokens") return `${value.toFixed(2)} ${unit}`;
  return `${(100 * value).toFixed(1)} % ${unit}`;
}

function describe(role, row, head) {
  const value = role.values[row][head];
  if (value === null) return "no token can see such a key";
  const [low, high] = [role.low, role.high].map((ends) => ends?.[row][head] ?? null);
  const percent = (end) => (100 * end).toFixed(1);
  const range = low === null ? "" : ` (95 %: ${percent(low)}–${percent(high)})`;
  return `${shown(role, value)}${range}, over ${role.counts[row][head]} ${role.counted ?? "tokens"}`;
}

function table(style, role, places) {
  const lines = places.map(([row, head], index) =>
    element("tr", {}, [
      element("td", { class: "datum" }, String(index + 1)),
      element("td", { class: "datum" }, headName(style.layers[row], head)),
      element("td", { class: "datum" }, shown(role, role.values[row][head])),
    ]),
  );
  const names = ["", "head", role.title].map((name) =>
    element(name ? "th" : "td", name ? { scope: "col", class: "column" } : {}, name),
  );
  return element("table", { class: "data" }, [
    element("thead", {}, element("tr", {}, names)),
    element("tbody", {}, lines),
  ]);
}

function trace(style, role) {
  const colorscale = themed(style.scale);
  const look = { colorscale, showscale: false, xgap: 2, ygap: 2, hoverinfo: "skip" };
  return { type: "heatmap", z: role.values, zmin: 0, zmax: ceiling(role) || 1, ...look };
}

function figure(style, role) {
  const axis = { showgrid: false, zeroline: false, fixedrange: true };
  return {
    data: [{ ...trace(style, role), showscale: true, colorbar: { title: { text: role.unit } } }],
    layout: {
      width: 220 + 50 * style.numHeads,
      height: 110 + 34 * style.layers.length,
      margin: { l: 60, r: 20, t: 50, b: 40 },
      title: { text: role.title, font: { size: 14 } },
      paper_bgcolor: colorOf("paper"),
      plot_bgcolor: colorOf("paper"),
      font: { color: colorOf("ink") },
      xaxis: {
        ...axis,
        tickvals: role.values[0].map((_, head) => head),
        ticktext: role.values[0].map((_, head) => `H${head}`),
      },
      yaxis: {
        ...axis,
        autorange: "reversed",
        tickvals: style.layers.map((_, row) => row),
        ticktext: style.layers.map((layer) => `L${layer}`),
      },
      shapes: headFrames(role.framed ?? []),
    },
  };
}
