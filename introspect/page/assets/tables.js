// Tables of numbers: sorted by a click on a heading, filtered by words, copied as CSV.
import { copied } from "./address-button.js";
import { announce, element, labeled } from "./dom.js";
import { whole } from "./numbers.js";

// A table of so few rows is read at a glance.
const FEWEST_FILTERED = 8;

/** Make every table of figures of the page work. */
export function mountTables() {
  document.querySelectorAll("table.data").forEach((table, index) => {
    if (table.tHead && !table.dataset.sortable) sortableTable(table, `table-${index + 1}`);
  });
}

/**
 * Let a table be sorted, filtered and copied.
 * @param {HTMLTableElement} table with a head of one row
 * @param {string} name of the file that its numbers would go into
 */
export function sortableTable(table, name) {
  table.dataset.sortable = name;
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = element("button", { type: "button", class: "sort" });
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const isDown = heading.getAttribute("aria-sort") === "descending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", isDown ? "ascending" : "descending");
      sortRows(body, column, isDown ? 1 : -1);
    });
  });
  const tools = element("div", { class: "table-tools" }, [
    body.rows.length >= FEWEST_FILTERED ? filter(body) : "",
    copyButton(table),
  ]);
  table.before(tools);
}

/** What a cell is sorted by: a number where it holds one, else its words. */
export function sortValue(text) {
  const plain = text.trim().replaceAll(",", "").replace("−", "-");
  const match = plain.match(/^[<>]?\s*([+-]?\d+(?:\.\d+)?)(?:·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?/);
  if (!match) return plain;
  const raised = [...(match[2] ?? "")].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(digit));
  const sign = raised[0] === -1 ? -1 : 1;
  const exponent = Number(raised.filter((digit) => digit >= 0).join("") || 0);
  return Number(match[1]) * 10 ** (sign * exponent);
}

function cellValue(row, column) {
  const cell = row.cells[column];
  if (!cell) return "";
  return cell.dataset.value === undefined
    ? sortValue(cell.textContent)
    : Number(cell.dataset.value);
}

/** Numbers in their order, then words in theirs; what is missing comes last either way. */
export function compared(a, b, direction) {
  const isMissing = (value) => value === "" || value === "–" || Number.isNaN(value);
  if (isMissing(a) || isMissing(b)) return Number(isMissing(a)) - Number(isMissing(b));
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  const order = typeof a === "number" ? a - b : a.localeCompare(b);
  return direction * order;
}

function sortRows(body, column, direction) {
  const rows = [...body.rows].map((row) => [cellValue(row, column), row]);
  rows.sort(([a], [b]) => compared(a, b, direction));
  body.append(...rows.map(([, row]) => row));
}

function filter(body) {
  const count = element("output", {});
  const input = element("input", { type: "search", name: "filter", size: 14 });
  input.addEventListener("input", () => {
    const sought = input.value.trim().toLocaleLowerCase();
    const rows = [...body.rows];
    for (const row of rows) row.hidden = !row.textContent.toLocaleLowerCase().includes(sought);
    const left = rows.filter((row) => !row.hidden).length;
    count.textContent = sought ? `${whole(left)} of ${whole(rows.length)} rows` : "";
  });
  return labeled("Find", input, count);
}

function copyButton(table) {
  const button = element("button", { type: "button", class: "plain", name: "copy-table" });
  button.textContent = "Copy as CSV";
  button.addEventListener("click", async () => {
    const isCopied = await copied(asCsv(table));
    announce(isCopied ? "The table is copied." : "The table could not be copied.");
    button.textContent = isCopied ? "Copied" : "Could not copy";
    setTimeout(() => {
      button.textContent = "Copy as CSV";
    }, 1500);
  });
  return button;
}

/** The rows that are shown, as CSV with a heading. */
export function asCsv(table) {
  const rows = [table.tHead.rows[0], ...[...table.tBodies[0].rows].filter((row) => !row.hidden)];
  return rows
    .map((row) => [...row.cells].map((cell) => csvCell(cell.textContent)).join(","))
    .join("\n");
}

/** A cell as others read it: a minus for a minus sign, quotes where a comma or a quote would part it. */
export function csvCell(text) {
  const plain = text
    .trim()
    .replace(/^−(?=\d)/, "-")
    .replace(/^(-?\d{1,3})(,\d{3})+(?=\.|$)/, (m) => m.replaceAll(",", ""));
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
