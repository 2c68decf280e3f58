// A long table of which only the rows in sight are there.
import { element } from "./dom.js";
import { whole } from "./numbers.js";

// As in cases.css.
const ROW = 30;
// Above and below what is in sight, so that scrolling shows no gap.
const SPARE = 8;
const PAGE = 10;
// On paper, which does not scroll: a sheet of them.
const MOST_PRINTED = 30;

/**
 * The table: `show` gives it its rows, by number, and `cells` makes one of them when it is seen.
 *
 * @param {{columns: {name: string, words: string}[], label: string, cells: Function,
 *   choose: Function, sort: Function}} options cells(row) is an array, a button first;
 *   choose(row) is called with the row of a click, Enter or an arrow key; sort(column)
 */
export function longTable({ columns, label, cells, choose, sort }) {
  const headings = columns.map(({ name, words }) => {
    const button = element("button", { type: "button", class: "sort" }, words);
    button.addEventListener("click", () => sort(name));
    return element("th", { scope: "col", class: `case-${name}` }, button);
  });
  const body = element("tbody");
  const table = element("table", { "aria-label": label }, [
    element("thead", {}, element("tr", { "aria-rowindex": 1 }, headings)),
    body,
  ]);
  const root = element("div", { class: "long-table", tabindex: -1 }, table);
  let rows = [];
  let active = 0;
  let chosen = null;
  let first = -1;
  let isPrinted = false;

  root.addEventListener("scroll", () => draw());
  root.addEventListener("keydown", onKey);
  new ResizeObserver(() => draw(true)).observe(root);
  for (const [event, value] of [
    ["beforeprint", true],
    ["afterprint", false],
  ]) {
    window.addEventListener(event, () => {
      isPrinted = value;
      draw(true);
    });
  }
  body.addEventListener("click", (event) => {
    const line = event.target.closest("tr[data-place]");
    if (line) choosePlace(Number(line.dataset.place));
  });

  function onKey(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE };
    const ends = { Home: -rows.length, End: rows.length };
    const step = steps[event.key] ?? ends[event.key];
    if (!step || event.target.closest("thead") || rows.length === 0) return;
    event.preventDefault();
    choosePlace(Math.min(Math.max(active + step, 0), rows.length - 1));
    body.querySelector(`tr[data-place="${active}"] button`)?.focus({ preventScroll: true });
  }

  function choosePlace(place) {
    active = place;
    chosen = rows[place];
    bringIntoSight(place);
    draw(true);
    choose(chosen);
  }

  function bringIntoSight(place) {
    const head = table.tHead.offsetHeight;
    const top = place * ROW;
    const seen = root.clientHeight - head;
    if (top < root.scrollTop) root.scrollTop = top;
    else if (top + ROW > root.scrollTop + seen) root.scrollTop = top + ROW - seen;
  }

  /** The rows in sight; anew also where the same ones are. */
  function draw(isAnew = false) {
    const start = isPrinted ? 0 : Math.max(0, Math.floor(root.scrollTop / ROW) - SPARE);
    if (start === first && !isAnew) return;
    first = start;
    const seen = isPrinted ? MOST_PRINTED : Math.ceil(root.clientHeight / ROW) + 2 * SPARE;
    const end = Math.min(rows.length, start + seen);
    const hadFocus = body.contains(document.activeElement);
    const lines = rows.slice(start, end).map((row, offset) => line(row, start + offset));
    const rest = rows.length - end;
    const more = isPrinted && rest > 0 ? [moreLine(rest)] : [];
    body.replaceChildren(spacer(start), ...lines, ...more, spacer(rest));
    if (!hadFocus) return;
    const button = body.querySelector(`tr[data-place="${active}"] button`);
    // A row that has left takes the keys with it: the table keeps them.
    (button ?? root).focus({ preventScroll: true });
  }

  function line(row, place) {
    const content = cells(row).map((cell, column) => {
      const tag = column === 0 ? "th" : "td";
      const scope = column === 0 ? "row" : null;
      return element(tag, { scope, class: `case-${columns[column].name}` }, cell);
    });
    content[0].querySelector("button").tabIndex = place === active ? 0 : -1;
    const isChosen = row === chosen ? "true" : null;
    const attributes = {
      class: "case-line",
      "data-place": place,
      "aria-rowindex": place + 2,
      "aria-current": isChosen,
    };
    return element("tr", attributes, content);
  }

  function moreLine(count) {
    const words = `${whole(count)} more are in the page itself.`;
    return element("tr", {}, element("td", { colspan: columns.length, class: "note" }, words));
  }

  function spacer(count) {
    const made = element("tr", { class: "spacer", "aria-hidden": "true" });
    made.style.height = `${count * ROW}px`;
    return made;
  }

  /**
   * Show other rows, or the same in another order.
   * @param {number[]} numbers of the rows
   * @param {[string, number]} order the column and 1 upward, -1 downward, 0 for none
   */
  function show(numbers, [column, direction]) {
    rows = numbers;
    active = Math.max(0, rows.indexOf(chosen));
    headings.forEach((heading, place) => {
      heading.removeAttribute("aria-sort");
      if (columns[place].name === column && direction) {
        heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      }
    });
    table.setAttribute("aria-rowcount", String(rows.length + 1));
    root.scrollTop = 0;
    draw(true);
  }

  /** Mark a row as chosen, and bring it into sight where it is among those shown. */
  function mark(row) {
    chosen = row;
    const place = rows.indexOf(row);
    if (place >= 0) {
      active = place;
      bringIntoSight(place);
    }
    draw(true);
  }
  return { root, show, mark };
}
