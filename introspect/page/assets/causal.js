// The causal view: a point for each head, across where it looks, upward what taking it out does.
import { acrossOf, figure, MARGIN, picture, standsOut } from "./causal-figure.js";
import { inLine, numbers, verdict } from "./causal-words.js";
import { choice } from "./controls.js";
import { element, headName } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { readLink, writeLink } from "./link.js";
import { onWidth } from "./plot.js";
import { onTheme } from "./theme.js";

const HEIGHT = 470;
const ACROSS = [
  ["accuracy", "accuracy of its choice"],
  ["margin", "margin"],
];
// How near the pointer must be to a point, in pixels.
const NEAR = 24;
const STEPS = {
  ArrowRight: ["x", 1],
  ArrowLeft: ["x", -1],
  ArrowUp: ["y", 1],
  ArrowDown: ["y", -1],
};

/** Build the view in its section. */
export function mountCausalView(section, style) {
  const { heads } = style;
  const link = readLink(section.id);
  let across = style.acrossWords[link.across] ? link.across : style.across;
  const first = firstHead(heads);
  const linked = heads.findIndex((head) => headName(head.layer, head.head) === link.head);
  let chosen = linked === -1 ? first : linked;
  const control = choice({
    name: "across",
    label: "Across",
    options: ACROSS,
    value: across,
    change(now) {
      across = now;
      writeLink(section.id, { across: across === style.across ? null : across });
      paint();
    },
  });
  const exports = exportButtons("causal-view", () => figure(style, across));
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const canvas = element("div", { class: "causal-picture", "aria-hidden": "true" });
  const points = heads.map(point);
  const layer = element("div", { class: "causal-points", role: "group", "aria-label": "Heads" });
  layer.append(...points);
  const field = element("div", { class: "causal-field" }, [canvas, layer]);
  const values = numbers(heads[0], style).map(() => element("dd", {}));
  section.append(
    element("p", { class: "note causal-note" }, `${style.subtitle}. ${style.preference}`),
    element("div", { class: "controls" }, [control.root, exports]),
    reading,
    element("div", { class: "causal-parts" }, [field, listed(values)]),
    legend(style),
  );
  let width = 0;

  function point(head, place) {
    const made = element("button", {
      type: "button",
      class: "causal-point",
      "data-layer": head.layer,
      "data-head": head.head,
      "data-significant": standsOut(head),
      "aria-label": inLine(head, style),
    });
    made.addEventListener("click", () => choose(place));
    made.addEventListener("focus", () => say(place));
    made.addEventListener("keydown", (event) => walk(event, place));
    return made;
  }

  function listed(cells) {
    const rows = numbers(heads[0], style).map(([name], index) =>
      element("div", {}, [element("dt", {}, name), cells[index]]),
    );
    return element("dl", { class: "causal-numbers" }, rows);
  }

  function fill(head) {
    numbers(head, style).forEach(([, value], index) => {
      values[index].textContent = value;
    });
  }

  function choose(place) {
    chosen = place;
    points.forEach((other, index) => {
      other.tabIndex = index === place ? 0 : -1;
      if (index === place) other.setAttribute("aria-current", "true");
      else other.removeAttribute("aria-current");
    });
    say(place);
    const { layer: number, head } = heads[place];
    writeLink(section.id, { head: place === first ? null : headName(number, head) });
  }

  function say(place) {
    const head = heads[place];
    reading.textContent = `${headName(head.layer, head.head)}: ${verdict(head)}.`;
    fill(head);
    points.forEach((other, index) => {
      other.dataset.shown = String(index === place);
    });
  }

  /** To the next head in the direction of the arrow, in order, so that every head is reached. */
  function walk(event, place) {
    const [axis, step] = STEPS[event.key] ?? [];
    if (!axis) return;
    event.preventDefault();
    const order = visible().sort((a, b) => placeOn(axis, a) - placeOn(axis, b) || a - b);
    const next = order[order.indexOf(place) + step];
    if (next !== undefined) points[next].focus();
  }

  function placeOn(axis, place) {
    return axis === "x" ? acrossOf(heads[place], across) : heads[place].effect;
  }

  function visible() {
    return heads.map((_, place) => place).filter((place) => placeOn("x", place) !== null);
  }

  function paint() {
    if (width === 0) return;
    const drawn = picture(style, across, { width, height: HEIGHT });
    window.Plotly.react(canvas, drawn.data, drawn.layout, {
      staticPlot: true,
      displayModeBar: false,
    });
    const [left, right] = style.ranges[across];
    const [bottom, top] = style.ranges.effect;
    const room = [width - MARGIN.l - MARGIN.r, HEIGHT - MARGIN.t - MARGIN.b];
    points.forEach((made, place) => {
      const x = placeOn("x", place);
      made.hidden = x === null;
      if (x === null) return;
      made.style.left = `${MARGIN.l + ((x - left) / (right - left)) * room[0]}px`;
      made.style.top = `${MARGIN.t + ((top - heads[place].effect) / (top - bottom)) * room[1]}px`;
    });
  }

  field.addEventListener("pointermove", (event) => {
    const place = nearest(event);
    if (place !== null) say(place);
  });
  field.addEventListener("pointerleave", () => say(chosen));
  field.addEventListener("click", (event) => {
    const place = nearest(event);
    if (place !== null) choose(place);
  });

  /** The head nearest to the pointer; of those at one place the button that is meant. */
  function nearest(event) {
    const own = points.indexOf(event.target);
    if (own !== -1) return own;
    const box = field.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const far = (place) =>
      Math.hypot(
        Number.parseFloat(points[place].style.left) - x,
        Number.parseFloat(points[place].style.top) - y,
      );
    const [closest] = visible().sort((a, b) => far(a) - far(b));
    return closest !== undefined && far(closest) <= NEAR ? closest : null;
  }

  onWidth(field, (now) => {
    width = now;
    paint();
  });
  onTheme(paint);
  choose(chosen);
}

/** The head that is shown first: the one with the largest effect. */
function firstHead(heads) {
  return heads.reduce((best, head, place) => (head.effect > heads[best].effect ? place : best), 0);
}

function legend({ layers, colors }) {
  const names = layers.map((layer, row) => {
    const dot = element("i", { class: "causal-dot" });
    dot.style.color = `light-dark(${colors.light[row]}, ${colors.dark[row]})`;
    return element("span", {}, [dot, `layer ${layer}`]);
  });
  const marks = [
    element("span", {}, [
      element("i", { class: "causal-dot hollow" }),
      "adjusted p not below 0.05",
    ]),
    element("span", {}, [element("i", { class: "causal-dash" }), "other heads of its layer"]),
    element("span", {}, [element("i", { class: "causal-bar" }), "95 % interval"]),
  ];
  return element("p", { class: "causal-legend" }, [...names, ...marks]);
}
