// One head beside the maps: its pattern, its numbers, its strongest pairs.
import { element, figure, quoted, shortened } from "./dom.js";
import { rowOf } from "./heads.js";
import { MatrixPanel } from "./matrix.js";
import { cellSize, gridOf } from "./matrix-grid.js";
import { onWidth } from "./plot.js";
import { toldApart } from "./shares.js";
import { themed } from "./theme.js";

const LARGEST = 420;
// Of a small map the labels take no more than this.
const LABELS = 84;
const HINT = "Point at the map for its numbers.";

/**
 * The panel; empty until a head is shown in it.
 * @param {{pattern: object, most: number, name: Function, facts: Function, strongest: Function}} view
 *   what the maps are of, now
 * @param {(row: number, head: number) => void} open asked to open the head in the head view
 */
export function headDetail(style, view, open) {
  const title = element("h3", {}, "");
  const map = element("div", { class: "detail-map" });
  const hinting = () => element("span", { class: "on-screen" }, HINT);
  const cell = element("p", { class: "detail-cell" }, hinting());
  const facts = element("table", { class: "detail-facts" });
  const pairs = element("ol", { class: "pairs" });
  const opener = element(
    "button",
    { type: "button", class: "plain on-screen" },
    "Open in the head view",
  );
  const hint = element("p", { class: "lead" }, "Click a map to see its head here.");
  const parts = element("div", { class: "detail-parts" }, [
    element("div", {}, [map, cell]),
    element("div", {}, [facts, pairs, opener]),
  ]);
  const filled = element("div", { hidden: "" }, [title, parts]);
  const root = element("div", { class: "detail", "aria-live": "polite" }, [hint, filled]);
  let shown = null;
  let width = 0;
  let panel = null;
  opener.addEventListener("click", () => open(...shown));
  onWidth(map, (now) => {
    width = Math.min(now, LARGEST);
    drawPattern();
  });

  /** The matrix with its tokens; another method's may have other ones. */
  function panelOf(record) {
    const axis = (sequence) => ({ ...sequence, tokens: sequence.labels.map((_, index) => index) });
    const point = (place) => {
      panel.point(place);
      cell.replaceChildren(place?.includes(null) === false ? cellWords(record, place) : hinting());
    };
    const nothing = () => null;
    return new MatrixPanel(
      { query: axis(record.queries), key: axis(record.keys) },
      {
        point,
        token: (side, at) => point(side === "query" ? [at, null] : [null, at]),
        select: nothing,
        pressToken: nothing,
        step: nothing,
      },
      LABELS,
    );
  }

  function cellWords(record, [query, key]) {
    const names = [toldApart(record.queries, query), toldApart(record.keys, key)];
    const weight = record.weight(...shown, query, key);
    return `${names.map((name) => quoted(name, 16)).join(" → ")} ${figure(weight)}`;
  }

  function drawPattern() {
    if (!shown || width === 0) return;
    const [row, head] = shown;
    const record = view.pattern;
    if (panel?.record !== record) {
      panel = panelOf(record);
      panel.record = record;
      map.replaceChildren(panel.root);
    }
    const block = { query: [0, record.queryLen - 1], key: [0, record.keyLen - 1] };
    const size = cellSize(width - panel.rooms.query - 2, block, 1);
    const grid = gridOf(block, size.factor, (query) => rowOf(record, row, head, query));
    const label = `Attention, ${view.name(row, head)}. With Shift the arrow keys go from cell to cell.`;
    const colorscale = themed(style.scale);
    panel.show({ block, ...size, grid, range: [0, view.most], colorscale, label });
  }

  function show(row, head) {
    shown = [row, head];
    hint.hidden = true;
    filled.hidden = false;
    title.textContent = view.name(row, head);
    showFacts();
    const items = view.strongest(row, head).map((pair) => pairItem(view.pattern, pair));
    pairs.replaceChildren(...items);
    drawPattern();
  }

  /** The numbers of the head; of these one is of the pair of words that is chosen. */
  function showFacts() {
    facts.replaceChildren(
      ...view
        .facts(...shown)
        .map(([name, value]) =>
          element("tr", {}, [
            element("th", { scope: "row" }, name),
            element("td", {}, figure(value ?? Number.NaN)),
          ]),
        ),
    );
  }

  /** Until another map is chosen. */
  function clear() {
    shown = null;
    hint.hidden = false;
    filled.hidden = true;
  }
  return { root, show, showFacts, clear, draw: drawPattern };
}

function pairItem(record, { query, key, weight }) {
  return element("li", {}, [
    element("bdi", {}, shortened(toldApart(record.queries, query), 16)),
    " → ",
    element("bdi", {}, shortened(toldApart(record.keys, key), 16)),
    element("span", { class: "weight" }, figure(weight)),
  ]);
}
