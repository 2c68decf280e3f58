// The heads of a case by preference, as a table.
import { element, headName } from "./dom.js";
import { decimal, writtenDifference } from "./numbers.js";
import { walkWithArrows } from "./tokens.js";

const ROWS_AT_FIRST = 10;

/** The heads by preference, ten at first. */
export function rankedTable(record, style, choose) {
  const columns = ["rank", "head", "antecedent", "distractor", "difference", "credit"];
  const heading = element(
    "tr",
    {},
    columns.map((name) => element("th", { scope: "col" }, name)),
  );
  const body = element("tbody");
  const more = element("button", { type: "button", class: "plain on-screen" });
  const order = style.range[0] < 0 ? "by how much more the antecedent gets" : "by weight";
  const caption = element("caption", {}, `Heads ${order}`);
  let isWhole = false;
  let last = null;
  more.addEventListener("click", () => {
    isWhole = !isWhole;
    show(...last);
  });
  const root = element("div", { class: "ranking" }, [
    element("table", {}, [caption, element("thead", {}, heading), body]),
    more,
  ]);

  function show(scores, state) {
    last = [scores, state];
    // The chosen head is always in sight, whatever its rank.
    const isShown = ([row, head], place) =>
      isWhole || place < ROWS_AT_FIRST || (row === state.row && head === state.head);
    const lines = scores.ranked.flatMap((pair, place) =>
      isShown(pair, place) ? [line(scores, state, ...pair, place)] : [],
    );
    const hadFocus = body.contains(document.activeElement);
    body.replaceChildren(...lines);
    const current = body.querySelector("[aria-current] button");
    walkWithArrows([...body.querySelectorAll("button")])(current ?? body.querySelector("button"));
    // The row that was chosen by a key is another element now.
    if (hadFocus) current?.focus({ preventScroll: true });
    more.hidden = scores.ranked.length <= ROWS_AT_FIRST;
    more.textContent = isWhole ? "Show the first ten" : `Show all ${scores.ranked.length} heads`;
  }

  function line(scores, state, row, head, place) {
    const name = headName(record.layers[row], head);
    const button = element("button", { type: "button", class: "plain" }, name);
    button.addEventListener("click", () => choose(row, head));
    const credit = scores.credit[row][head];
    const cells = [
      element("td", {}, String(place + 1)),
      element("th", { scope: "row" }, button),
      element("td", {}, decimal(scores.antecedent[row][head])),
      element("td", {}, decimal(scores.distractor[row][head])),
      element("td", {}, decimal(differenceOf(scores, row, head))),
      element("td", {}, credit === null ? "–" : String(credit)),
    ];
    const isChosen = row === state.row && head === state.head;
    return element("tr", { "aria-current": isChosen ? "true" : null }, cells);
  }
  return { root, show };
}

/** By how much more the antecedent gets, as the two numbers are written; null where one is missing. */
function differenceOf({ antecedent, distractor }, row, head) {
  const numbers = [antecedent[row][head], distractor[row][head]];
  return numbers.includes(null) ? null : writtenDifference(...numbers);
}
