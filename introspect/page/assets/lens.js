// The lens view: a table of layers and tokens, each cell with what the head reads there.
import { coloring, inkOn } from "./colors.js";
import { ARROWS } from "./controls.js";
import { element, escaped, quoted, shortened } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { colorBar, namesAxis, paperLayout } from "./figures.js";
import { scaleLegend } from "./head-grid.js";
import { readLink, writeLink } from "./link.js";
import { onTheme, themed } from "./theme.js";

const LONGEST = 11;

/** Build the view in its section. */
export function mountLensView(section, style) {
  const { layers, tokens, words, chances, first } = style;
  const last = layers.length - 1;
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const further = element("div", { class: "ranking" });
  const cells = layers.map((_, row) => tokens.map((_token, place) => cellOf(row, place)));
  const table = element("table", { class: "lens" }, [
    // The last layer stands on top: what was read is below it.
    element("tbody", {}, cells.map((line, row) => lineOf(line, row)).reverse()),
    element("tfoot", {}, lineOfTokens()),
  ]);
  const scroller = element("div", { class: "lens-scroller" }, table);
  section.append(
    element("div", { class: "controls" }, [exportButtons("lens-view", () => figure(style))]),
    reading,
    scroller,
    scaleLegend(style.scale, "0", "probability 1"),
    further,
  );

  function cellOf(row, place) {
    const button = element("button", {
      type: "button",
      class: "lens-cell",
      tabindex: "-1",
      "data-side": "query",
      "data-layer": row,
      "data-token-index": place,
      "aria-label": describe(row, place),
    });
    button.append(element("bdi", {}, shortened(words[row][place][0], LONGEST)));
    button.addEventListener("pointerenter", () => say(row, place));
    button.addEventListener("focus", () => say(row, place));
    button.addEventListener("click", () => choose(row, place));
    button.addEventListener("keydown", (event) => walk(event, row, place));
    return button;
  }

  function lineOf(line, row) {
    return element("tr", {}, [
      element("th", { scope: "row" }, layers[row]),
      ...line.map((cell) => element("td", {}, cell)),
    ]);
  }

  function lineOfTokens() {
    const names = tokens.map((token) => {
      const name = element("th", { scope: "col", title: token });
      name.append(element("bdi", {}, shortened(token, LONGEST)));
      return name;
    });
    return element("tr", {}, [element("th", { scope: "row" }, "read at"), ...names]);
  }

  function describe(row, place) {
    const after = `${row === 0 ? "before" : "after"} ${layers[row === 0 ? 1 : row]}`;
    return `${after}, at ${quoted(tokens[place])} (token ${place}): ${quoted(words[row][place][0])}, ${percent(chances[row][place][0])}`;
  }

  function say(row, place) {
    const text = describe(row, place);
    reading.textContent = `${text[0].toUpperCase()}${text.slice(1)}.`;
    further.replaceChildren(list(words[row][place], chances[row][place]));
  }

  function choose(row, place) {
    for (const cell of cells.flat()) {
      cell.removeAttribute("aria-current");
      cell.tabIndex = -1;
    }
    cells[row][place].setAttribute("aria-current", "true");
    cells[row][place].tabIndex = 0;
    say(row, place);
    const isFirst = row === last && place === first;
    writeLink(section.id, { cell: isFirst ? null : `${row}.${place}` });
  }

  function walk(event, row, place) {
    const [down, right] = ARROWS[event.key] ?? [0, 0];
    const next = cells[row - down]?.[place + right];
    if ((!down && !right) || !next) return;
    event.preventDefault();
    next.focus();
    choose(row - down, place + right);
  }

  function paint() {
    const color = coloring(themed(style.scale));
    cells.forEach((line, row) => {
      line.forEach((cell, place) => {
        const ground = color(chances[row][place][0]);
        cell.style.background = `rgb(${ground.join(",")})`;
        cell.style.color = inkOn(ground);
      });
    });
  }

  onTheme(paint);
  paint();
  const [row, place] = (readLink(section.id).cell ?? "").split(".").map(Number);
  if (cells[row]?.[place]) choose(row, place);
  else choose(last, first);
  bringIn(scroller, section.querySelector("[aria-current]"));
}

/** Scroll sideways, and only so, until a cell is seen. */
function bringIn(scroller, cell) {
  const [frame, box] = [scroller, cell].map((each) => each.getBoundingClientRect());
  if (box.right > frame.right) scroller.scrollLeft += box.right - frame.right;
}

function percent(chance) {
  return `${(100 * chance).toFixed(1)} %`;
}

/** All readings of one cell, the likeliest first. */
function list(words, chances) {
  const lines = words.map((word, index) => {
    const name = element("td", { class: "datum" });
    name.append(element("bdi", {}, shortened(word, 40)));
    return element("tr", {}, [
      element("td", { class: "datum" }, String(index + 1)),
      name,
      element("td", { class: "datum" }, percent(chances[index])),
    ]);
  });
  const names = ["rank", "token", "probability"].map((name) =>
    element("th", { scope: "col", class: "column" }, name),
  );
  return element("table", { class: "data" }, [
    element("thead", {}, element("tr", {}, names)),
    element("tbody", {}, lines),
  ]);
}

function figure({ layers, tokens, words, chances, scale }) {
  const colorscale = themed(scale);
  const trace = {
    type: "heatmap",
    z: chances.map((line) => line.map(([first]) => first)),
    zmin: 0,
    zmax: 1,
    colorscale,
    text: words.map((line) => line.map(([first]) => escaped(shortened(first, LONGEST)))),
    texttemplate: "%{text}",
    xgap: 1,
    ygap: 1,
    colorbar: colorBar("probability"),
  };
  const labels = tokens.map((token) => escaped(shortened(token, LONGEST)));
  const every = (list) => list.map((_, index) => index);
  return {
    data: [trace],
    layout: paperLayout("Logit lens", {
      width: 220 + 84 * Math.max(4, tokens.length),
      height: 150 + 30 * layers.length,
      margin: { l: 100, r: 110, t: 60, b: 80 },
      xaxis: namesAxis(every(tokens), labels, { title: "read at" }),
      yaxis: namesAxis(every(layers), layers, { title: "after" }),
    }),
  };
}
