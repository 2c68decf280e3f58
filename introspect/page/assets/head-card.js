// The page of a head in an atlas: its sentence, examples, rules, distributions and neighbors.
import { element } from "./dom.js";
import { exampleList } from "./head-examples.js";
import { decimal, pCell, percent, percentEnds, signed, whole } from "./numbers.js";
import { queryKeyMap } from "./query-key-map.js";
import { sortableTable } from "./tables.js";

const SETS = [
  ["strongest", "Strongest rows"],
  ["decile", "Rows of each tenth, the strongest first"],
  ["random", "Random rows"],
];

/** Build the page of a head. */
export function mountHeadCardView(section, style) {
  const [title, lead] = section.children;
  title.classList.add("unseen");
  const examples = exampleList(style.examples, SETS, style.head, sentence(style.sentence));
  section.append(
    element("div", { class: "head-line" }, [neighbors(style), lead]),
    examples.root,
    ...(style.coreference.length ? titled("Coreference", sentences(style.coreference)) : []),
    ...titled("Rules", rulesTable(style)),
    ...titled("Jobs", jobs(style.modes)),
    ...(style.writes.sentences.length ? titled("What it writes", writes(style.writes)) : []),
    ...titled("Distributions over all rows", distributions(style.distributions)),
    ...titled("Vocabulary entries", tokensTable(style.tokens)),
    ...(style.map ? titled("Queries and keys", queryKeyMap(style.map)) : []),
    ...titled("Most similar heads", similar(style.similar)),
  );
  for (const table of section.querySelectorAll("table.data")) {
    sortableTable(table, `${style.head}-${table.dataset.name}`);
  }
  examples.choose(0);
}

function titled(name, content) {
  return [element("h3", {}, name), content];
}

function sentence(text) {
  return element("p", { class: "finding" }, emphasized(text));
}

function sentences(texts) {
  return element(
    "div",
    { class: "coreference-facts" },
    texts.map((text) => element("p", {}, emphasized(text))),
  );
}

/** Whether a head copies, and the entries that it adds most to, each with its logit. */
function writes({ sentences: texts, entries }) {
  const items = entries.map(([token, logit]) =>
    element("li", {}, [element("bdi", { class: "written-token" }, token), ` ${signed(logit)}`]),
  );
  const root = sentences(texts);
  // Of models whose heads do not add to a state there is only what their weights say.
  if (items.length > 0) {
    root.append(
      element("p", { class: "note" }, "Entries that it adds most to, in logits:"),
      element("ul", { class: "written-tokens" }, items),
    );
  }
  return root;
}

function emphasized(text) {
  return text.split("*").map((part, number) => (number % 2 ? element("em", {}, part) : part));
}

/** The links to the index and the heads before and after. */
function neighbors({ head, heads }) {
  const place = heads.indexOf(head);
  const link = (name, words) =>
    name ? element("a", { href: `${name}.html` }, words) : element("span", {}, "");
  return element("nav", { class: "head-nav", "aria-label": "Heads" }, [
    element("a", { href: "../index.html" }, "All heads"),
    link(heads[place - 1], `← ${heads[place - 1]}`),
    link(heads[place + 1], `${heads[place + 1]} →`),
  ]);
}

function tableOf(name, columns, rows) {
  const heading = element(
    "tr",
    {},
    columns.map((column) => element("th", { scope: "col", class: "column" }, column)),
  );
  const body = rows.map((cells) =>
    element(
      "tr",
      {},
      cells.map((cell, place) =>
        element(
          place ? "td" : "th",
          place ? { class: "datum" } : { scope: "row", class: "datum" },
          cell,
        ),
      ),
    ),
  );
  return element("div", { class: "atlas-table" }, [
    element("table", { class: "data", "data-name": name }, [
      element("thead", {}, heading),
      element("tbody", {}, body),
    ]),
  ]);
}

function rulesTable({ rules }) {
  const columns = [
    "Rule",
    "Covers (finding half)",
    "Covers (checking half)",
    "Even attention",
    "All heads",
    "Largest weight on it",
    "p, family-wise",
    "Rows",
  ];
  const rows = rules.map(([name, found, checked, low, high, even, all, precision, p, n]) => [
    name,
    percent(found),
    `${percent(checked)}${checked === null || low === null || high === null ? "" : percentEnds(low, high)}`,
    percent(even),
    percent(all),
    percent(precision),
    p === null ? "–" : pCell(p),
    whole(n),
  ]);
  return tableOf("rules", columns, rows);
}

function jobs(modes) {
  if (modes.length < 2) {
    const rule = modes[0]?.[0];
    const words = rule ? `One: ${rule}.` : "One; no rule covers enough of it to name it.";
    return element("p", {}, words);
  }
  const rows = modes.map(([rule, share, coverage]) => [
    rule || "no rule",
    percent(share, 0),
    rule ? percent(coverage, 0) : "–",
  ]);
  return tableOf("jobs", ["Rule", "Share of the sampled rows", "Covers of them"], rows);
}

/** Bars of this head beside the mean of all heads, with what they stand for. */
function distributions(every) {
  const legend = element("p", { class: "map-legend" }, [
    element("span", { class: "map-name distribution-own-name" }, "this head"),
    " ",
    element("span", { class: "map-name distribution-all-name" }, "all heads"),
  ]);
  return element("div", {}, [legend, element("div", { class: "distributions" }, bars(every))]);
}

/** A figure for each measure, drawn as cells of one height. */
function bars(every) {
  return every.map(({ name, own, all, ends }) => {
    const largest = Math.max(...own, ...all, 1e-9);
    const cells = own.map((share, bin) => {
      const bar = element("span", { class: "distribution-bar" }, [
        element("span", { class: "distribution-own" }),
        element("span", { class: "distribution-all" }),
      ]);
      bar.style.setProperty("--own", `${(100 * share) / largest}%`);
      bar.style.setProperty("--all", `${(100 * all[bin]) / largest}%`);
      return bar;
    });
    const most = own.indexOf(Math.max(...own));
    const says = `${name}: ${percent(own[most], 0)} of the rows are in part ${most + 1} of ${own.length}, from ${ends[0]} to ${ends[1]}`;
    return element("figure", { class: "distribution" }, [
      element("figcaption", {}, name),
      element("div", { class: "distribution-bars", role: "img", "aria-label": says }, cells),
      element("div", { class: "distribution-ends", "aria-hidden": "true" }, [
        element("span", {}, ends[0]),
        element("span", {}, ends[1]),
      ]),
    ]);
  });
}

function tokensTable(tokens) {
  if (tokens.length === 0) {
    return element("p", {}, "None is used five times or more, and more than it occurs.");
  }
  const sides = { key: "attended to", query: "attends" };
  const rows = tokens.map(([side, token, count, n, lift]) => [
    token,
    sides[side],
    whole(count),
    whole(n),
    decimal(lift),
  ]);
  return tableOf(
    "entries",
    ["Entry", "Side", "Times", "Times in the corpus", "Lift (log odds)"],
    rows,
  );
}

function similar(heads) {
  if (heads.length === 0) return element("p", {}, "The model has no other head here.");
  const items = heads.map(([name, distance]) =>
    element("li", {}, [
      element("a", { href: `${name}.html` }, name),
      ` (total variation ${decimal(distance)})`,
    ]),
  );
  return element("ul", { class: "similar-heads" }, items);
}
