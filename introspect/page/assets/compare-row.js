// One query token's row in both records: a table with bars.
import { element, figure, shortened } from "./dom.js";
import { signed, writtenDifference } from "./numbers.js";

/** One row in both: for each key paired bars, the two weights and their difference. */
export function rowTable(keys, names) {
  const caption = element("caption", {});
  const headings = ["Key", "", names[0], names[1], "change"].map((name, place) =>
    place === 1 ? element("td", {}) : element("th", { scope: "col" }, element("bdi", {}, name)),
  );
  const lines = keys.pairs.map((_, place) => rowLine(keys, place));
  const table = element("table", {}, [
    caption,
    element("thead", {}, element("tr", {}, headings)),
    element(
      "tbody",
      {},
      lines.map(({ root }) => root),
    ),
  ]);
  const label = "One row in both";
  const root = element(
    "div",
    { class: "compare-row", tabindex: 0, role: "region", "aria-label": label },
    table,
  );

  function show(queries, token, rows) {
    caption.replaceChildren(
      "What “",
      element("bdi", {}, shortened(queries.name(token), 40)),
      "” gives",
    );
    lines.forEach(({ write }, place) => {
      const values = rows.map((row) => row[place]);
      write(values, queries.pairs[token]);
    });
  }
  return { root, show };
}

function rowLine(keys, place) {
  const bars = ["a", "b"].map((side) => element("i", { class: `bar ${side}` }));
  const cells = ["a", "b", "difference"].map((name) => element("td", { "data-value": name }));
  const differs = keys.differs(place) ? "true" : null;
  const name = element("bdi", {}, keys.name(place));
  const root = element("tr", {}, [
    element("th", { scope: "row", "data-differs": differs, title: keys.name(place) }, name),
    element("td", { class: "bars-pair", "aria-hidden": "true" }, bars),
    ...cells,
  ]);

  /** A weight of no token is a dash; one that should be there is missing. */
  function write(values, query) {
    const isThere = [0, 1].map((side) => query[side] !== null && keys.index(place, side) !== null);
    isThere.push(isThere[0] && isThere[1]);
    cells.forEach((cell, number) => {
      const isChange = number === 2 && !Number.isNaN(values[2]);
      const text = isChange
        ? signed(writtenDifference(values[1], values[0]))
        : figure(values[number]);
      cell.textContent = isThere[number] ? text : "–";
    });
    cells[2].classList.toggle("strong", Math.abs(values[2]) >= 0.05);
    bars.forEach((bar, side) => {
      bar.style.setProperty("--share", String(values[side] || 0));
    });
  }
  return { root, write };
}
