// The queries and keys of a head as points of one map, with the tokens of the strongest direction.
import { element, quoted, svgElement } from "./dom.js";
import { coordinate, counted } from "./numbers.js";

const SIZE = 360;
const EDGE = 10;
const MOST_NAMED = 8;

/** The tokens of one end of the strongest direction, each once, the strongest first. */
export function strongest(points, labels, sign) {
  const order = points.map((_, place) => place);
  order.sort((a, b) => sign * (points[b][2] - points[a][2]));
  const chosen = order.filter((place) => sign * points[place][2] > 0).map((place) => labels[place]);
  return [...new Set(chosen)].slice(0, MOST_NAMED);
}

/**
 * The map of a head.
 * @param {{labels: string[], query: number[][], key: number[][]}} map places and strengths
 */
export function queryKeyMap({ labels, query, key }) {
  const every = [...query, ...key];
  const largest = Math.max(...every.flatMap(([x, y]) => [Math.abs(x), Math.abs(y)]), 1e-9);
  const at = (value) => coordinate(SIZE / 2 + (value / largest) * (SIZE / 2 - EDGE));
  const dots = [
    ["key", key],
    ["query", query],
  ].flatMap(([side, points]) =>
    points.map(([x, y], place) =>
      svgElement("circle", { cx: at(x), cy: at(-y), r: 3, class: `map-${side}` }, [
        svgElement("title", {}, [`${side}: ${labels[place]}`]),
      ]),
    ),
  );
  const picture = svgElement(
    "svg",
    {
      viewBox: `0 0 ${SIZE} ${SIZE}`,
      class: "query-key-map",
      role: "img",
      "aria-label": `The queries and keys of ${counted(labels.length, "token")} on two components`,
    },
    dots,
  );
  const ends = [1, -1].map((sign) =>
    element("li", {}, [
      "Queries of ",
      words(strongest(query, labels, sign)),
      " attract keys of ",
      words(strongest(key, labels, sign)),
      ".",
    ]),
  );
  return element("div", { class: "map-block" }, [
    picture,
    element("div", {}, [
      element("p", { class: "map-legend" }, [
        element("span", { class: "map-name map-query-name" }, "queries"),
        " ",
        element("span", { class: "map-name map-key-name" }, "keys"),
      ]),
      element("p", {}, "Along the direction in which they differ most:"),
      element("ul", {}, ends),
    ]),
  ]);
}

function words(labels) {
  return element(
    "span",
    {},
    labels.flatMap((label, place) => [
      place ? ", " : "",
      element("bdi", { class: "map-token" }, quoted(label)),
    ]),
  );
}
