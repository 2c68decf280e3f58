// The index of an atlas: every head as a point, as a square of the strip, and as a row of a table.
import { fitting, headNamed, oneOf } from "./address.js";
import { atlasScatter } from "./atlas-scatter.js";
import { choice } from "./controls.js";
import { element, headName } from "./dom.js";
import { headStrip } from "./head-strip.js";
import { readLink, writeLink } from "./link.js";
import { decimal, percent, percentEnds } from "./numbers.js";
import { sortableTable } from "./tables.js";

const OWNER = "atlas";

/** The page of a head, beside the index. */
export function pageOf(name) {
  return `heads/${name}.html`;
}

/**
 * The heads of an atlas, from columns of one value each, in the order of layers and heads.
 * @param {{layers: number[], numHeads: number, columns: Object<string, Array>}} style
 */
export function atlasHeads({ layers, numHeads, columns }) {
  const names = layers.flatMap((layer) =>
    Array.from({ length: numHeads }, (_, head) => headName(layer, head)),
  );
  return names.map((name, number) => ({
    name,
    row: Math.floor(number / numHeads),
    head: number % numHeads,
    ...Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, values[number]])),
  }));
}

/** Build the view of all heads. */
export function mountAtlasView(section, style) {
  const heads = atlasHeads(style);
  const axes = Object.fromEntries(style.axes);
  const read = oneOf(Object.keys(axes));
  const link = fitting(readLink(OWNER), {
    x: read,
    y: read,
    color: read,
    head: headNamed(style.layers, style.numHeads),
  });
  const [x, y, color] = style.first;
  const shown = { x: link.x ?? x, y: link.y ?? y, color: link.color ?? color };
  let chosen = link.head ? heads[link.head[0] * style.numHeads + link.head[1]] : null;

  const said = element("p", { class: "atlas-said", "aria-live": "polite" });
  const scatter = atlasScatter(heads, style, { choose, point });
  const strip = headStrip(style, {
    choose: (row, head) => choose(heads[row * style.numHeads + head]),
    point: (row, head) => point(row === null ? null : heads[row * style.numHeads + head]),
  });

  function choose(head) {
    chosen = head;
    strip.mark(head.row, head.head);
    scatter.mark(head);
    writeLink(OWNER, { head: head.name });
    say(head);
  }

  function point(head) {
    say(head ?? chosen);
  }

  function say(head) {
    const link = linkTo(head.name, style, `Open the page of ${head.name}`);
    said.replaceChildren(head.sentence, ...(link ? [" ", link] : []));
  }

  function drawn() {
    scatter.draw(shown);
    const of = strengthOf(heads, style, shown.color);
    strip.color(
      (row, head) => of(heads[row * style.numHeads + head]),
      (row, head) => written(heads[row * style.numHeads + head], style, shown.color),
    );
    writeLink(OWNER, shown);
  }

  const picks = [
    ["x", "Across"],
    ["y", "Up"],
    ["color", "Color"],
  ].map(
    ([name, label]) =>
      choice({
        name,
        label,
        options: style.axes,
        value: shown[name],
        change: (value) => {
          shown[name] = value;
          drawn();
        },
      }).root,
  );
  const [title, lead] = section.children;
  title.classList.add("unseen");
  section.append(
    element("div", { class: "atlas-overview" }, [
      scatter.root,
      element("div", { class: "atlas-strip" }, [strip.root]),
    ]),
    said,
    element("div", { class: "controls" }, picks),
    lead,
  );
  const table = headsTable(heads, style);
  document
    .querySelector("[data-table=heads]")
    .append(table, element("p", { class: "note on-paper" }, "The other columns are in heads.csv."));
  sortableTable(table, "heads");
  drawn();
  // Without a choice in the address, the head that its rule covers best.
  chosen ??= heads.reduce((best, head) =>
    (head.coverage ?? -1) > (best.coverage ?? -1) ? head : best,
  );
  strip.mark(chosen.row, chosen.head);
  scatter.mark(chosen);
  say(chosen);
}

/** A link to the page of a head, or null where it has none. */
function linkTo(name, style, words) {
  return style.pages.includes(name) ? element("a", { href: pageOf(name) }, words) : null;
}

/** How strong the color of a head is, from 0 to 1: its number beside the largest. */
export function strengthOf(heads, style, name) {
  const largest = style.shares.includes(name)
    ? 1
    : Math.max(...heads.map((head) => head[name] ?? 0), 1e-9);
  return (head) => (head[name] === null ? Number.NaN : head[name] / largest);
}

/** A number of a head as it is written. */
export function written(head, style, name) {
  const label = Object.fromEntries(style.axes)[name];
  const value = head[name];
  const number = style.shares.includes(name) ? percent(value, 0) : decimal(value, 2);
  return value === null ? `${label}: none` : `${label}: ${number}`;
}

function headsTable(heads, style) {
  const figures = style.axes.filter(([name]) => name !== "coverage");
  const names = ["Head", "What it does", "Rule", "Covers", "Even attention"];
  const all = [...names, ...figures.map(([, label]) => label)];
  const heading = element(
    "tr",
    {},
    all.map((name) => element("th", { scope: "col", class: "column" }, name)),
  );
  const rows = heads.map((head) => {
    const covers = `${percent(head.coverage)}${percentEnds(head.low, head.high)}`;
    const cells = [
      head.sentence,
      head.rule || "–",
      head.coverage === null ? "–" : covers,
      percent(head.even),
      ...figures.map(([name]) =>
        style.shares.includes(name)
          ? percent(head[name])
          : decimal(head[name], name === "modes" ? 0 : 2),
      ),
    ];
    const name = linkTo(head.name, style, head.name) ?? head.name;
    const isNamed = style.named?.includes(head.name);
    const mark = isNamed ? [element("span", { class: "named-mark" }, "★ chosen on the cases")] : [];
    return element("tr", { "data-head-name": head.name }, [
      element("th", { scope: "row", class: "datum" }, [name, ...mark]),
      ...cells.map((cell) => element("td", { class: "datum" }, cell)),
    ]);
  });
  return element("table", { class: "data heads-table" }, [
    element("thead", {}, heading),
    element("tbody", {}, rows),
  ]);
}
