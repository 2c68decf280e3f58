// The cases view: every case of a set, to be searched, sorted and read.

import { below, fitting, oneOf } from "./address.js";
import { copied } from "./address-button.js";
import { CaseList, PLACES, verdictOf } from "./case-list.js";
import { longTable } from "./case-rows.js";
import { caseText } from "./case-text.js";
import { goToItem } from "./chapters.js";
import { choice } from "./controls.js";
import { announce, element, headName, labeled } from "./dom.js";
import { readLink, writeLink } from "./link.js";
import { decimal, signed, whole, writtenDifference } from "./numbers.js";
import { selectionOf } from "./selection.js";
import { csvCell } from "./tables.js";

const COLUMNS = [
  ["number", "case"],
  ["text", "text"],
  ["pronoun", "pronoun"],
  ["refers", "antecedent"],
  ["antecedent", "its weight"],
  ["distractor", "distractor"],
  ["difference", "difference"],
  ["credit", "right"],
].map(([name, words]) => ({ name, words }));
const VERDICTS = [
  ["", "all"],
  ["right", "right"],
  ["wrong", "wrong"],
  ["tied", "tied"],
  ["neither", "neither"],
];

// Decimals of a number that goes elsewhere.
const WRITTEN = 5;

/** Build the view in its section. */
export function mountCasesView(section, style, record) {
  const list = new CaseList(style);
  const state = { words: "", verdict: "", order: ["number", 0], ...linked(list, section.id) };
  list.place = state.place ?? 0;
  let shown = [];
  const count = element("output", {});
  const search = element("input", { type: "search", name: "find-cases", value: state.words });
  search.addEventListener("input", () => {
    state.words = search.value;
    update();
  });
  const heads = choice({
    name: "case-head",
    label: "Head",
    options: list.heads.map(([layer, head, way], place) => [
      String(place),
      `${headName(layer, head)}, ${style.directions[way]}`,
    ]),
    value: String(list.place),
    change: (value) => changeHead(Number(value)),
  });
  const verdicts = choice({
    name: "case-verdict",
    label: "Cases",
    options: VERDICTS,
    value: state.verdict,
    change: (verdict) => {
      state.verdict = verdict;
      update();
    },
  });
  const table = longTable({
    columns: COLUMNS,
    label: "All cases",
    cells: (index) => cellsOf(list, index),
    choose,
    sort: (column) => {
      const isDown = state.order[0] === column && state.order[1] === -1;
      state.order = [column, isDown ? 1 : -1];
      update();
    },
  });
  const text = caseText(list, (place) => goToItem("cases", place));
  const controls = [labeled("Find", search, count), verdicts.root, heads.root, copyButton()];
  section.append(element("div", { class: "controls" }, controls), table.root, text.root);

  function choose(index) {
    state.index = index;
    text.show(index);
    write();
  }

  function showHead(place) {
    list.place = place;
    update();
    showCase();
  }

  /** The chosen case, in the list and below it. */
  function showCase() {
    if (state.index !== undefined) table.mark(state.index);
    text.show(state.index ?? null);
  }

  function changeHead(place) {
    showHead(place);
    const [layer, head] = list.heads[place];
    const row = record ? record.layers.indexOf(layer) : -1;
    if (row >= 0) selectionOf(record).set({ row, head }, take);
  }

  /** A head that was chosen elsewhere on the page, if the list has its numbers. */
  function take(_, { row, head }) {
    const place = list.heads.findIndex(
      ([layer, number]) => layer === record.layers[row] && number === head,
    );
    const [layer, number] = list.heads[list.place];
    if (place < 0 || (layer === record.layers[row] && number === head)) return;
    heads.show(String(place));
    showHead(place);
  }

  function update() {
    shown = list.sorted(list.found(state.words, state.verdict), ...state.order);
    const all = style.isAll ? whole(list.length) : `the first ${whole(list.length)}`;
    count.textContent = shown.length < list.length ? `${whole(shown.length)} of ${all}` : "";
    table.show(shown, state.order);
    write();
  }

  function write() {
    const [column, direction] = state.order;
    writeLink(section.id, {
      case: state.index ?? null,
      find: state.words || null,
      show: state.verdict || null,
      by: list.place || null,
      sort: direction ? `${direction < 0 ? "-" : ""}${column}` : null,
    });
  }

  function copyButton() {
    const button = element("button", { type: "button", class: "plain", name: "copy-cases" });
    button.textContent = "Copy as CSV";
    button.addEventListener("click", async () => {
      const isCopied = await copied(csvOf(list, shown));
      const words = isCopied ? `${whole(shown.length)} cases are copied.` : "Could not copy.";
      announce(words);
      button.textContent = isCopied ? "Copied" : "Could not copy";
      setTimeout(() => {
        button.textContent = "Copy as CSV";
      }, 1500);
    });
    return button;
  }

  showHead(list.place);
  if (record) selectionOf(record).follow(take);
}

/** What the address says. */
function linked(list, owner) {
  const orders = COLUMNS.flatMap(({ name }) => [name, `-${name}`]);
  const found = fitting(readLink(owner), {
    case: below(list.length),
    by: below(list.heads.length),
    show: oneOf(VERDICTS.map(([name]) => name)),
    find: (text) => text,
    sort: oneOf(orders),
  });
  const { case: index, by: place, show: verdict, find: words, sort } = found;
  const order = sort && [sort.replace("-", ""), sort.startsWith("-") ? -1 : 1];
  const known = Object.entries({ index, place, verdict, words, order });
  return Object.fromEntries(known.filter(([, value]) => value !== undefined));
}

function cellsOf(list, index) {
  const one = list.cases[index];
  const { antecedent, distractor, credit } = list.facts(index);
  const name = element("button", { type: "button", class: "plain" }, list.names[index]);
  const isolated = (words) => element("bdi", { title: words }, words);
  return [
    name,
    isolated(one.text),
    isolated(one.pronoun.phrase),
    isolated(list.phrases(index, true)),
    decimal(antecedent, PLACES),
    decimal(distractor, PLACES),
    signed(writtenDifference(antecedent, distractor, PLACES), PLACES),
    verdictOf(credit) || "–",
  ];
}

/** The cases as CSV, with whose numbers they are. */
export function csvOf(list, indices) {
  const [layer, head, way] = list.heads[list.place];
  const name = `${headName(layer, head)} ${list.style.directions[way]}`;
  const headings = [
    ...["case", "text", "pronoun", "antecedent", "distractor"],
    ...["antecedent", "distractor"].map((side) => `${name}: ${side}`),
    "credit",
  ];
  const number = (value) => (Number.isNaN(value) ? "" : csvCell(decimal(value, WRITTEN)));
  const rows = indices.map((index) => {
    const { antecedent, distractor, credit } = list.facts(index);
    const one = list.cases[index];
    const sides = [list.phrases(index, true), list.phrases(index, false)];
    const words = [list.names[index], one.text, one.pronoun.phrase, ...sides];
    return [...words.map(csvCell), ...[antecedent, distractor, credit].map(number)];
  });
  return [headings.map(csvCell), ...rows].map((row) => row.join(",")).join("\n");
}
