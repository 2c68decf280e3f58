// A figure that was drawn in Python, in the colors of the theme, with a button over each mark.
import { choice } from "./controls.js";
import { element } from "./dom.js";
import { exportButtons } from "./exporting.js";
import { readLink, writeLink } from "./link.js";
import { factOf, linesOf, marksOf, nearest, neighbor, recolored } from "./marks.js";
import { signMore } from "./more.js";
import { onWidth } from "./plot.js";
import { onTheme, theme } from "./theme.js";

// On the page the heading stands above the figure, so that no more room than this is left there.
const TOP = 30;
// How near the pointer must be to a point, in pixels.
const NEAR = 24;
const POINT = 16;

/** Build the view in its section. */
export function mountDrawnView(section, style) {
  const { pictures, control } = style;
  const link = readLink(section.id);
  const find = (name) => pictures.find((one) => one.name === name);
  let picture = find(link[control.name]) ?? find(style.first);
  // The mark that the reader chose, kept from one picture to another; null for each one's first.
  let wanted = link.mark ?? null;
  let marks = [];
  let buttons = [];
  let places = [];
  let chosen = 0;
  let width = 0;

  const note = element("p", { class: "note" });
  const reading = element("p", { class: "reading strong", "aria-live": "polite" });
  const canvas = element("div", { class: "drawn-canvas", "aria-hidden": "true" });
  const layer = element("div", { class: "drawn-marks", role: "group", "aria-label": style.marks });
  const names = element("div", { class: "drawn-names", "aria-hidden": "true" });
  const field = element("div", { class: "drawn-field" }, [names, canvas, layer]);
  const scroller = signMore(element("div", { class: "drawn-scroller" }, field));
  const facts = element("dl", { class: "drawn-facts" });
  const ranking = element("div", { class: "ranking" });
  section.append(
    note,
    element("div", { class: "controls" }, controls()),
    reading,
    element("div", { class: "drawn-parts" }, [scroller, facts]),
    ranking,
  );

  function controls() {
    const isOne = pictures.length === 1;
    const exports = exportButtons(
      style.file,
      () => recolored(picture.figure, partners()),
      // Another picture of the same view is another file.
      () => (isOne ? {} : { head: picture.label }),
    );
    if (isOne) return [exports];
    const options = pictures.map(({ name, label }) => [name, label]);
    const { root } = choice({ ...control, options, value: picture.name, change: turnTo });
    return [root, exports];
  }

  function turnTo(name) {
    picture = find(name);
    writeLink(section.id, { [control.name]: name === style.first ? null : name });
    show();
  }

  function partners() {
    return theme() === "dark" ? style.colors : {};
  }

  function show() {
    note.textContent = picture.note;
    note.hidden = !picture.note;
    ranking.replaceChildren(...(picture.ranking ? [table(picture.ranking)] : []));
    marks = marksOf(picture.figure.data);
    buttons = marks.map(button);
    layer.replaceChildren(...buttons);
    paint();
    const named = marks.findIndex(({ name }) => name === wanted);
    const first = marks.findIndex(({ name }) => name === picture.first);
    choose(Math.max(0, named === -1 ? first : named));
  }

  function paint() {
    if (width === 0) return;
    const { data, layout } = recolored(picture.figure, partners());
    // A sheet of paper does not scroll.
    const least = document.documentElement.classList.contains("printing") ? 0 : picture.least;
    const size = onPage(layout, Math.max(width, least));
    field.style.width = `${size.width}px`;
    field.style.height = `${size.height}px`;
    window.Plotly.react(canvas, data, size, { staticPlot: true, displayModeBar: false });
    names.hidden = size.width <= width;
    names.style.width = `${size.margin.l}px`;
    names.replaceChildren(...rowNames(canvas._fullLayout.yaxis));
    places = marks.map((mark) => placeOf(mark, canvas._fullLayout));
    buttons.forEach((one, index) => {
      const [left, top, breadth, height] = places[index];
      one.style.cssText = `left:${left}px;top:${top}px;width:${breadth}px;height:${height}px`;
    });
  }

  function choose(index) {
    if (!marks[index]) return;
    buttons[chosen]?.removeAttribute("aria-current");
    if (buttons[chosen]) buttons[chosen].tabIndex = -1;
    chosen = index;
    buttons[index].setAttribute("aria-current", "true");
    buttons[index].tabIndex = 0;
    say(index);
  }

  function keep(index) {
    choose(index);
    const { name } = marks[index];
    wanted = name === picture.first ? null : name;
    writeLink(section.id, { mark: wanted });
  }

  function say(index) {
    const [first, ...others] = linesOf(marks[index].words);
    reading.textContent = `${first}.`;
    facts.replaceChildren(...others.map(fact));
    layer.querySelector("[data-shown]")?.removeAttribute("data-shown");
    buttons[index].dataset.shown = "true";
  }

  /** The mark under the pointer, or the point near it; -1 for none. */
  function pointed(event) {
    const own = buttons.indexOf(event.target);
    if (own !== -1 || marks[0]?.isCell) return own;
    const box = field.getBoundingClientRect();
    return nearest(places, [event.clientX - box.left, event.clientY - box.top], NEAR);
  }

  field.addEventListener("pointermove", (event) => {
    const index = pointed(event);
    if (index !== -1) say(index);
  });
  field.addEventListener("pointerleave", () => marks[chosen] && say(chosen));
  field.addEventListener("click", (event) => {
    const index = pointed(event);
    if (index !== -1) keep(index);
  });
  layer.addEventListener("focusin", (event) => say(buttons.indexOf(event.target)));
  layer.addEventListener("keydown", (event) => {
    const [bottom, top] = canvas._fullLayout.yaxis.range;
    const from = marks[buttons.indexOf(event.target)];
    const next = neighbor(marks, from, event.key, bottom > top);
    if (next === null) return;
    event.preventDefault();
    // Elsewhere the arrows change layer and head.
    event.stopPropagation();
    if (!next) return;
    const index = marks.indexOf(next);
    keep(index);
    buttons[index].focus();
  });
  onWidth(scroller, (now) => {
    const isFirst = width === 0;
    width = now;
    paint();
    if (isFirst) bringIn(scroller, buttons[chosen]);
  });
  onTheme(paint);
  show();
}

/** The layout on the page: as wide as there is room, without the title that the heading says. */
function onPage(layout, width) {
  const top = Math.min(layout.margin.t, TOP);
  const height = layout.height - layout.margin.t + top;
  return { ...layout, title: undefined, width, height, margin: { ...layout.margin, t: top } };
}

/** The names of the rows of a figure that is scrolled sideways, which stay in sight. */
function rowNames(axis) {
  return (axis.ticktext ?? []).map((name, index) => {
    const made = element("span", {}, linesOf(name));
    made.style.top = `${axis._offset + axis.d2p(axis.tickvals[index])}px`;
    return made;
  });
}

/** Left, top, width and height of a mark; left and top are those of its middle. */
function placeOf({ x, y, isCell }, { xaxis, yaxis }) {
  const left = xaxis._offset + xaxis.d2p(x);
  const top = yaxis._offset + yaxis.d2p(y);
  if (!isCell) return [left, top, POINT, POINT];
  return [left, top, xaxis._length / span(xaxis), yaxis._length / span(yaxis)];
}

function span({ range: [from, to] }) {
  return Math.abs(to - from);
}

function button({ name, words, isCell }) {
  const [first] = linesOf(words);
  const [, number, head] = name.match(/^L(\d+)H(\d+)$/) ?? [];
  return element("button", {
    type: "button",
    class: isCell ? "mark cell" : "mark point",
    tabindex: "-1",
    "data-mark": name,
    "data-layer": number,
    "data-head": head,
    "aria-label": first,
  });
}

function fact(line) {
  const [name, value] = factOf(line);
  return element("div", {}, [
    element("dt", {}, element("bdi", {}, name)),
    element("dd", {}, value),
  ]);
}

function table({ caption, columns, rows, foot }) {
  const head = columns.map((name) =>
    element(name ? "th" : "td", name ? { scope: "col", class: "column" } : {}, name),
  );
  return element("table", { class: "data" }, [
    ...(caption ? [element("caption", {}, caption)] : []),
    element("thead", {}, element("tr", {}, head)),
    element("tbody", {}, rows.map(line)),
    ...(foot.length ? [element("tfoot", {}, line(foot))] : []),
  ]);
}

function line(cells) {
  return element(
    "tr",
    {},
    cells.map((cell) => element("td", { class: "datum" }, cell)),
  );
}

/** Scroll sideways, and only so, until a mark is seen. */
function bringIn(scroller, mark) {
  if (!mark) return;
  const [frame, box] = [scroller, mark].map((each) => each.getBoundingClientRect());
  if (box.right > frame.right) scroller.scrollLeft += box.right - frame.right;
}
