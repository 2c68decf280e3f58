// Every head in the order of what it gives a chosen pair of words.
import { element, figure, headName } from "./dom.js";
import { signed, whole } from "./numbers.js";
import { sortableTable } from "./tables.js";
import { walkWithArrows } from "./tokens.js";

const COLUMNS = [
  ["head", "head"],
  ["weight", "weight"],
  ["others", "others give"],
  ["difference", "difference"],
  ["rank", "rank in the row"],
  ["withoutSpecial", "without specials"],
];

/** The table, folded until it is asked for: of a large model it has a thousand rows. */
export function rankedPairs(record, choose) {
  const summary = element("summary", {}, "");
  const place = element("div", {});
  const root = element("details", { class: "ranked-pairs" }, [summary, place]);
  let shown = null;
  root.addEventListener("toggle", draw);

  function show(pair) {
    shown = pair?.facts;
    root.hidden = !pair;
    if (!pair) return;
    const [query, key] = pair.labels;
    const heads = shown.length === 1 ? "The one head" : `All ${whole(shown.length)} heads ranked`;
    summary.textContent = `${heads}, “${query}” to “${key}”`;
    draw();
  }

  function draw() {
    if (!root.open || !shown) return;
    const order = [...shown].sort((a, b) => (b.weight || 0) - (a.weight || 0));
    const rows = order.map((fact) => {
      const { row, head } = fact;
      const button = element(
        "button",
        { type: "button", class: "plain", "data-layer": record.layers[row], "data-head": head },
        headName(record.layers[row], head),
      );
      button.addEventListener("click", () => choose(row, head));
      const name = element("th", { scope: "row", "data-value": row * record.numHeads + head });
      name.append(button);
      const cells = COLUMNS.slice(1).map(([column]) => {
        const write = { difference: signed, rank: whole }[column] ?? figure;
        const value = fact[column];
        return element("td", { "data-value": value }, Number.isNaN(value) ? "–" : write(value));
      });
      return element("tr", {}, [name, ...cells]);
    });
    const headings = COLUMNS.map(([, words]) => element("th", { scope: "col" }, words));
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
        button.dataset.layer === String(record.layers[row]) && button.dataset.head === String(head);
      button.closest("tr").toggleAttribute("aria-current", isChosen);
    }
  }
  return { root, show, mark };
}
