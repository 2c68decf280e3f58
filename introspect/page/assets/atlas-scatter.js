// Heads as points between two axes, drawn as SVG; the table has the same numbers as text.
import { svgElement } from "./dom.js";
import { coordinate, decimal, percent } from "./numbers.js";

const WIDTH = 560;
const HEIGHT = 340;
const MARGIN = { left: 58, right: 14, top: 12, bottom: 46 };
const RADIUS = 5;
const ROUNDING = 1e-9;
/** The most parts that an axis is divided into. */
const MOST_PARTS = 5;

/** The distance between the marks of an axis: 1, 2 or 5 times a power of ten. */
function stepTo(largest) {
  const power = 10 ** Math.floor(Math.log10(largest / MOST_PARTS) + ROUNDING);
  const enough = (step) => step * power * MOST_PARTS >= largest * (1 - ROUNDING);
  return power * [1, 2, 5, 10].find(enough);
}

/** A round end of an axis that holds a number: few steps, and no more than one of them empty. */
export function roundEnd(largest) {
  if (!(largest > 0)) return 1;
  const step = stepTo(largest);
  return step * Math.ceil(largest / step - ROUNDING);
}

/** The round numbers from 0 to a round end. */
export function ticksTo(end) {
  const parts = Math.round(end / stepTo(end));
  return Array.from({ length: parts + 1 }, (_, step) => (end * step) / parts);
}

/**
 * The points of all heads.
 * @param {Object[]} heads with a name and a number, or null, for each axis
 * @param {{axes: [string, string][], shares: string[]}} style
 * @param {{choose: Function, point: Function}} acts called with a head; `point` with null when
 *   nothing is pointed at any longer
 */
export function atlasScatter(heads, style, acts) {
  const labels = Object.fromEntries(style.axes);
  const frame = svgElement("g", { class: "atlas-axes" });
  const points = heads.map((head, number) => {
    const circle = svgElement("circle", { r: RADIUS, class: "atlas-point", "data-number": number });
    const isNamed = style.named?.includes(head.name);
    if (isNamed) circle.classList.add("named");
    const title = isNamed ? `${head.name}, chosen on the cases` : head.name;
    circle.append(svgElement("title", {}, [title]));
    return circle;
  });
  const root = svgElement("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: "atlas-scatter",
    "data-element": "scatter",
    role: "img",
  });
  root.append(frame, ...points);

  const headAt = (event) => heads[event.target.closest?.(".atlas-point")?.dataset.number];
  root.addEventListener("click", (event) => {
    const head = headAt(event);
    if (head) acts.choose(head);
  });
  root.addEventListener("pointerover", (event) => acts.point(headAt(event) ?? null));
  root.addEventListener("pointerleave", () => acts.point(null));

  const endOf = (name) => {
    const largest = Math.max(...heads.map((head) => head[name] ?? 0));
    return style.shares.includes(name) && largest > 0.5 ? 1 : roundEnd(largest);
  };
  const say = (name, value) =>
    style.shares.includes(name)
      ? percent(value, value % 0.1 ? 1 : 0)
      : decimal(value, value < 5 && value % 1 ? 1 : 0);

  function draw({ x, y, color }) {
    const [endX, endY, endColor] = [x, y, color].map(endOf);
    const across = (value) => MARGIN.left + (value / endX) * (WIDTH - MARGIN.left - MARGIN.right);
    const up = (value) =>
      HEIGHT - MARGIN.bottom - (value / endY) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    frame.replaceChildren(...axisLines({ x, y, endX, endY, across, up }));
    heads.forEach((head, number) => {
      const isMissing = head[x] === null || head[y] === null;
      const point = points[number];
      point.toggleAttribute("hidden", isMissing);
      point.style.display = isMissing ? "none" : "";
      if (isMissing) return;
      point.setAttribute("cx", coordinate(across(head[x])));
      point.setAttribute("cy", coordinate(up(head[y])));
      const strength = head[color] === null ? 0 : Math.min(head[color] / endColor, 1);
      point.style.setProperty("--strength", `${Math.round(100 * strength)}%`);
    });
    const missing = points.filter((point) => point.hasAttribute("hidden")).length;
    const left = missing ? `; ${missing} have no such number` : "";
    root.setAttribute(
      "aria-label",
      `${heads.length} heads: ${labels[x]} across, ${labels[y]} up, colored by ${labels[color]}${left}`,
    );
  }

  function axisLines({ x, y, endX, endY, across, up }) {
    const bottom = HEIGHT - MARGIN.bottom;
    const rows = ticksTo(endY).flatMap((at) => [
      svgElement("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: up(at), y2: up(at) }),
      svgElement("text", { x: MARGIN.left - 8, y: up(at) + 4, "text-anchor": "end" }, [say(y, at)]),
    ]);
    const columns = ticksTo(endX).map((at) =>
      svgElement("text", { x: across(at), y: bottom + 18, "text-anchor": "middle" }, [say(x, at)]),
    );
    const middleY = (MARGIN.top + bottom) / 2;
    return [
      ...rows,
      ...columns,
      svgElement("text", { x: (MARGIN.left + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, [
        labels[x],
      ]),
      svgElement(
        "text",
        {
          x: 14,
          y: middleY,
          "text-anchor": "middle",
          transform: `rotate(-90 14 ${middleY})`,
        },
        [labels[y]],
      ),
    ];
  }

  function mark(head) {
    for (const point of points) point.classList.remove("chosen");
    const point = points[heads.indexOf(head)];
    point.classList.add("chosen");
    root.append(point);
  }

  return { root, draw, mark };
}
