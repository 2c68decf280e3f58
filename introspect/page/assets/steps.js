// The steps view: match, weigh, sum.
import { element, escaped, figure, quoted, shortened } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { columnHeadings, namesAxis, paperLayout, rowsAndOne } from "./figures.js";
import { Focus, fillNumbers, keyNames, stepColumn } from "./focal.js";
import { listMap, mapped } from "./minimap.js";
import { signMore } from "./more.js";
import { quantity } from "./numbers.js";
import { onWidth } from "./plot.js";
import { drawStrips, largestOf, stripPlace, stripTrace } from "./strips.js";
import { colorOf, onTheme } from "./theme.js";

/** Build the view in its section. */
export async function mountStepsView(section, style, record) {
  for (const part of ["scores", "values", "head_outputs"]) await record.loadPart(part);
  const caption = element("p", { class: "reading", "aria-live": "polite" });
  const focus = new Focus(section, style, record, show);
  const names = keyNames(record, style.rowHeight);
  const scores = element("ol", { class: "numbers signed" });
  const weights = element("ol", { class: "numbers" });
  const shares = element("ol", { class: "numbers" });
  const total = element("p", { class: "total" });
  const proof = element("p", { class: "note" });
  const read = (row, column) => {
    const { contributions, weight } = parts();
    const value = contributions[row][column];
    const key = record.keys.labels[row];
    caption.textContent = `${quoted(key)}, dimension ${column}: weight ${figure(weight[row])} × value = ${figure(value)}`;
  };
  const places = {
    values: stripPlace("Weight × value, by dimension", read),
    sum: stripPlace("Added up, by dimension", (_row, column) => {
      const sum = parts().contributions.reduce((all, vector) => all + vector[column], 0);
      caption.textContent = `Added up, dimension ${column}: ${figure(sum)}`;
    }),
  };
  const save = exportButtons(
    "steps-view",
    () => wholeFigure(),
    () => ({ head: focus.name, weights: "raw weights" }),
  );
  const body = element("div", { class: "steps" }, [
    stepColumn("Token", "who attends", focus.column.list),
    stepColumn("Keys", "at what", names.list),
    stepColumn("1 Match", "scores", scores),
    stepColumn("2 Weigh", "softmax of the scores", [weights, total]),
    stepColumn("3 Sum", "weight × value, by dimension", [
      places.values,
      element("h3", {}, "Added up: what the head outputs"),
      places.sum,
      proof,
    ]),
    stepColumn("Length", "of weight × value", shares),
  ]);
  const map = keyMap();
  const controls = element("div", { class: "controls" }, [...focus.controls, save]);
  section.append(controls, caption, mapped(signMore(body), map));
  onWidth(places.values, show);
  onTheme(show);
  focus.mark();
  show();

  function parts() {
    const weight = focus.weights();
    const values = focus.vectors("values", record.keyLen);
    return {
      weight,
      score: record.vector("scores", focus.row, focus.headOf("scores"), focus.token),
      contributions: values.map((value, key) => value.map((v) => weight[key] * v)),
      output: record.vector("head_outputs", focus.row, focus.headOf("head_outputs"), focus.token),
    };
  }

  function show() {
    save.hidden = !focus.isHere(caption, body);
    if (save.hidden) return;
    map.draw();
    const { weight, score, contributions, output } = parts();
    const sum = output.map((_, d) => contributions.reduce((all, vector) => all + vector[d], 0));
    const largest = largestOf(contributions, [sum]);
    const options = { scale: style.scale, rowHeight: style.rowHeight, largest };
    drawStrips(places.values, contributions, options);
    drawStrips(places.sum, [sum], options);
    const fill = (list, values, bars) =>
      fillNumbers(list, values, { rowHeight: style.rowHeight, ...bars });
    const range = Math.max(...score.map((value) => Math.abs(value) || 0), 1e-6);
    fill(scores, score, { share: (value) => value / range, missing: "masked" });
    fill(weights, weight, { share: (value) => value });
    const lengths = contributions.map((vector) => Math.hypot(...vector));
    const longest = Math.max(...lengths.map((length) => length || 0), 1e-6);
    fill(shares, lengths, { share: (length) => length / longest });
    const given = weight.reduce((all, value) => all + (value || 0), 0);
    const sink = given < 0.99 ? `; ${figure(1 - given)} goes to a sink that no token gets` : "";
    total.textContent = `Sum ${figure(given)}${sink}`;
    const difference = Math.max(...sum.map((value, d) => Math.abs(value - output[d])));
    proof.textContent = Number.isNaN(difference)
      ? "A weight or value is missing: the sum cannot be compared with the model’s own."
      : `The model’s own output differs by at most ${quantity(difference)}.`;
    const token = record.queries.labels[focus.token];
    caption.textContent = `While it reads ${quoted(token)}, head ${focus.name} matches it with every key.`;
  }

  /** Of a long text, where the keys with weight are. */
  function keyMap() {
    const items = [...names.list.children];
    return listMap({ list: names.list, items: () => items, strengths: () => focus.weights() });
  }

  function wholeFigure() {
    const { weight, score, contributions, output } = parts();
    const rows = record.keyLen;
    const places = rowsAndOne(rows, false);
    const y = weight.map((_, row) => row);
    const bars = (x, axis, color) => ({
      type: "bar",
      orientation: "h",
      x,
      y,
      text: x.map((value) => (Number.isNaN(value) ? "" : figure(value))),
      xaxis: axis,
      marker: { color: colorOf(color) },
    });
    const bare = { visible: false };
    const title = `${focus.name}, while it reads ${quoted(record.queries.labels[focus.token])}`;
    const names = record.keys.labels.map((label) => escaped(shortened(label)));
    const layout = paperLayout(title, {
      width: 900,
      height: 140 + places.total * style.rowHeight,
      margin: { l: 120, r: 40, t: 90, b: 20 },
      xaxis: { ...bare, domain: [0, 0.28] },
      xaxis2: { ...bare, domain: [0.32, 0.58] },
      xaxis3: { ...bare, domain: [0.62, 1] },
      yaxis: namesAxis(y, names, {
        range: [rows - 0.5, -0.5],
        showline: false,
        domain: places.rows,
      }),
      xaxis4: { ...bare, domain: [0.62, 1], anchor: "y2" },
      yaxis2: { ...bare, domain: places.apart, anchor: "x4" },
      annotations: columnHeadings([
        ["1 match", 0.14],
        ["2 weigh", 0.45],
        ["3 sum: weight × value", 0.81],
        ["what the head outputs", 0.81, places.apart[1]],
      ]),
    });
    const largest = largestOf(contributions, [output]);
    const strips = stripTrace(contributions, largest, style.scale);
    const sum = stripTrace([output], largest, style.scale);
    return {
      data: [
        bars(score, "x", "muted"),
        bars(weight, "x2", "accent"),
        { ...strips, xaxis: "x3" },
        { ...sum, xaxis: "x4", yaxis: "y2" },
      ],
      layout,
    };
  }
}
