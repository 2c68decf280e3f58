// Every head in the order of what it gives a chosen pair of words.
import { element, figure, headName } from "./dom.js";
import { signed, whole, writtenDifference } from "./numbers.js";
import { sortableTable } from "./tables.js";
import { walkWithArrows } from "./tokens.js";
import { isWhole, methodOf } from "./weighings.js";

const COLUMNS = [
  ["head", "head"],
  ["weight", "weight"],
  ["others", "others give"],
  ["difference", "difference"],
  ["rank", "rank in the row"],
  ["withoutSpecial", "without specials"],
];

/** A number of a pair in a head, as it is written. */
export function factWords(fact, column) {
  const value = fact[column];
  if (Number.isNaN(value)) return "–";
  if (column === "difference") return signed(writtenDifference(fact.weight, fact.others));
  return column === "rank" ? whole(value) : figure(value);
}

/** The table, folded until it is asked for: of a large model it has a thousand rows. */
export function rankedPairs(record, choose) {
  const summary = element("summary", {}, "");
  const place = element("div", {});
  const root = element("details", { class: "ranked-pairs" }, [summary, place]);
  let shown = null;
  let isByLayer = false;
  root.addEventListener("toggle", draw);

  /** Show what is said of a pair by some weights: a row for each head, or where all are together, layer. */
  function show(pair, weights) {
    shown = pair?.facts;
    isByLayer = isWhole(record, weights);
    root.hidden = !pair;
    if (!pair) return;
    const [query, key] = pair.labels;
    const together = isByLayer ? ` (${methodOf(record, weights).label}, all heads together)` : "";
    summary.textContent = `${ranked(shown.length)}, “${query}” to “${key}”${together}`;
    draw();
  }

  function ranked(count) {
    const kind = isByLayer ? "layer" : "head";
    return count === 1 ? `The one ${kind}` : `All ${whole(count)} ${kind}s ranked`;
  }

  function draw() {
    if (!root.open || !shown) return;
    const order = [...shown].sort((a, b) => (b.weight || 0) - (a.weight || 0));
    const rows = order.map((fact) => {
      const { row, head } = fact;
      const button = element(
        "button",
        { type: "button", class: "plain", "data-layer": record.layers[row], "data-head": head },
        isByLayer ? `L${record.layers[row]}` : headName(record.layers[row], head),
      );
      button.addEventListener("click", () => choose(row, head));
      const name = element("th", { scope: "row", "data-value": row * record.numHeads + head });
      name.append(button);
      const cells = COLUMNS.slice(1).map(([column]) => {
        const value = fact[column];
        return element("td", { "data-value": value }, factWords(fact, column));
      });
      return element("tr", {}, [name, ...cells]);
    });
    const headings = COLUMNS.map(([column, words]) =>
      element("th", { scope: "col" }, column === "head" && isByLayer ? "layer" : words),
    );
    const table = element("table", { class: "data" }, [
      element("thead", {}, element("tr", {}, headings)),
      element("tbody", {}, rows),
    ]);
    place.replaceChildren(table);
    sortableTable(table, "ranked-heads");
    const buttons = rows.map((row) => row.querySelector("button"));
    const enter = walkWithArrows(buttons);
    // A search may hide the row that Tab enters.
    place.oninput = () => enter(buttons.find((one) => !one.closest("[hidden]")));
  }

  /** Mark the row of the chosen head. */
  function mark(row, head) {
    for (const button of place.querySelectorAll("button[data-head]")) {
      const isChosen =
        button.dataset.layer === String(record.layers[row]) &&
        (isByLayer || button.dataset.head === String(head));
      button.closest("tr").toggleAttribute("aria-current", isChosen);
    }
  }
  return { root, show, mark };
}
