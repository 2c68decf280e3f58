// One head beside the maps: its pattern, its numbers, its strongest pairs.
import { element, figure, shortened } from "./dom.js";
import { draw, onWidth } from "./plot.js";
import { themed } from "./theme.js";

const LARGEST = 320;

/**
 * The panel; empty until a head is shown in it.
 * @param {{pattern: object, most: number, name: Function, facts: Function, strongest: Function}} view
 *   what the maps are of, now
 * @param {(row: number, head: number) => void} open asked to open the head in the head view
 */
export function headDetail(style, view, open) {
  const title = element("h3", {}, "");
  const map = element("div", { class: "detail-map" });
  const facts = element("table", { class: "detail-facts" });
  const pairs = element("ol", { class: "pairs" });
  const opener = element("button", { type: "button", class: "plain" }, "Open in the head view");
  const hint = element("p", { class: "lead" }, "Click a map to see its head here.");
  const filled = element("div", { hidden: "" }, [title, map, facts, pairs, opener]);
  const root = element("div", { class: "detail", "aria-live": "polite" }, [hint, filled]);
  let shown = null;
  let width = 0;
  opener.addEventListener("click", () => open(...shown));
  onWidth(map, (now) => {
    width = Math.min(now, LARGEST);
    drawPattern();
  });

  function drawPattern() {
    if (!shown || width === 0) return;
    const [row, head] = shown;
    const record = view.pattern;
    const height = Math.round((width * record.queryLen) / Math.max(record.queryLen, record.keyLen));
    const z = Array.from({ length: record.queryLen }, (_, query) =>
      Array.from({ length: record.keyLen }, (_key, key) => {
        const weight = record.weight(row, head, query, key);
        return Number.isNaN(weight) ? null : weight;
      }),
    );
    const trace = {
      type: "heatmap",
      z,
      zmin: 0,
      zmax: view.most,
      colorscale: themed(style.scale),
      showscale: false,
      hoverinfo: "skip",
    };
    const x = [-0.5, record.keyLen - 0.5];
    draw(map, [trace], { x, y: [record.queryLen - 0.5, -0.5], width, height });
  }

  function show(row, head) {
    shown = [row, head];
    hint.hidden = true;
    filled.hidden = false;
    title.textContent = view.name(row, head);
    facts.replaceChildren(
      ...view
        .facts(row, head)
        .map(([name, value]) =>
          element("tr", {}, [
            element("th", { scope: "row" }, name),
            element("td", {}, figure(value ?? Number.NaN)),
          ]),
        ),
    );
    const items = view.strongest(row, head).map((pair) => pairItem(view.pattern, pair));
    pairs.replaceChildren(...items);
    drawPattern();
  }

  /** Until another map is chosen. */
  function clear() {
    shown = null;
    hint.hidden = false;
    filled.hidden = true;
  }
  return { root, show, clear, draw: drawPattern };
}

function pairItem(record, { query, key, weight }) {
  return element("li", {}, [
    element("bdi", {}, shortened(record.queries.labels[query], 16)),
    " → ",
    element("bdi", {}, shortened(record.keys.labels[key], 16)),
    element("span", { class: "weight" }, figure(weight)),
  ]);
}
