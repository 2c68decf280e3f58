// A long text at a glance: a lane for each side, with what each token gives or gets, and a frame
// around what is seen. A press or a drag brings a part into sight. It is beside the tokens, which
// are read and reached without it.
import { element } from "./dom.js";
import { whenOnScreen } from "./plot.js";
import { colorOf, onTheme, withOpacity } from "./theme.js";

const LANE = 18;
const GAP = 3;
const LEAST_TICK = 2.5;
const EDGE = 40;
// A text that is longer than so many windows has a map.
const SCREENS = 2;

/**
 * The map; `draw` is to be called whenever what it shows has changed.
 *
 * A lane has as many places as tokens: `count`; `strengths` from 0 to 1 of each, or null; `rows`,
 * the ranges of places that are not folded; and `seen`, the range that is in sight, or null.
 * @param {() => {count: number, strengths: ArrayLike<number>, rows: [number, number][],
 *   seen: [number, number]}[]} lanes what there is to show
 * @param {(lane: number, place: number) => void} look asked to bring a place into sight
 */
export function minimap(lanes, look) {
  const canvas = element("canvas", {});
  const root = element("div", { class: "minimap", "aria-hidden": "true", hidden: "" }, canvas);
  let isWaiting = false;
  let held = null;

  function draw() {
    if (isWaiting || root.hidden) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      // To ask how high it is, where nobody sees it, would lay out its whole section.
      whenOnScreen(root, paint);
    });
  }

  function paint() {
    const height = root.clientHeight;
    if (height === 0) return;
    const shown = lanes();
    const width = shown.length * (LANE + GAP) - GAP;
    const sharpness = window.devicePixelRatio || 1;
    canvas.width = width * sharpness;
    canvas.height = height * sharpness;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(sharpness, sharpness);
    for (const [number, lane] of shown.entries()) {
      paintLane(pen, lane, number * (LANE + GAP), height);
    }
  }

  function follow({ clientX, clientY }) {
    const shown = lanes();
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const part = (distance, whole, count) =>
      Math.min(Math.max(Math.floor((distance / whole) * count), 0), count - 1);
    held ??= part(clientX - left, width, shown.length);
    look(held, part(clientY - top, height, shown[held].count));
  }

  root.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    root.setPointerCapture(event.pointerId);
    held = null;
    follow(event);
  });
  root.addEventListener("pointermove", (event) => {
    if (root.hasPointerCapture(event.pointerId)) follow(event);
  });
  onTheme(draw);
  new ResizeObserver(draw).observe(root);
  return { root, draw };
}

function paintLane(pen, { count, strengths, rows, seen }, left, height) {
  const at = (place) => (place / count) * height;
  const band = ([first, last], inset) => {
    const top = at(first);
    pen.fillRect(left + inset, top, LANE - 2 * inset, Math.max(at(last + 1) - top, LEAST_TICK));
  };
  pen.fillStyle = colorOf("quiet");
  pen.fillRect(left, 0, LANE, height);
  pen.fillStyle = colorOf("line");
  for (const range of rows) band(range, 0);
  if (seen) {
    pen.fillStyle = withOpacity(colorOf("edge"), 0.35);
    band(seen, 0);
    pen.strokeStyle = colorOf("muted");
    const top = at(seen[0]);
    pen.strokeRect(left + 0.5, top + 0.5, LANE - 1, Math.max(at(seen[1] + 1) - top, 4) - 1);
  }
  if (strengths) {
    const accent = colorOf("accent");
    // Classes of strength: a color for each of 2,048 ticks would take longer than the ticks.
    const steps = Array.from({ length: 11 }, (_, step) => withOpacity(accent, step / 10));
    for (let place = 0; place < count; place += 1) {
      const step = Math.round(10 * Math.sqrt(Math.min(strengths[place] || 0, 1)));
      if (step === 0) continue;
      pen.fillStyle = steps[step];
      band([place, place], 3);
    }
  }
}

/** First and last of some items, from top to bottom, that are in sight; null for none. */
export function inSight(items, frame = null) {
  const { top, bottom } = frame?.getBoundingClientRect() ?? { top: 0, bottom: innerHeight };
  const box = (place) => items[place].getBoundingClientRect();
  const first = firstPlace(items.length, (place) => box(place).bottom > top);
  const last = firstPlace(items.length, (place) => box(place).top >= bottom) - 1;
  return first <= last ? [first, last] : null;
}

/** The first place from which on something holds; the end if nowhere. */
function firstPlace(count, holds) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Scroll a frame, or the page, until an item is in its middle; nothing else moves. */
export function bringToMiddle(item, frame = null) {
  const { top, height } = frame?.getBoundingClientRect() ?? { top: 0, height: innerHeight };
  const box = item.getBoundingClientRect();
  const distance = box.top + box.height / 2 - top - height / 2;
  (frame ?? window).scrollBy({ top: distance, behavior: "instant" });
}

/**
 * Scroll a frame, and not the page, until some items are seen in it: all of them, or if they are far
 * apart the first.
 */
export function bringAllIn(items, frame) {
  if (frame.scrollHeight <= frame.clientHeight) return;
  const { top, height } = frame.getBoundingClientRect();
  const boxes = items.map((item) => item.getBoundingClientRect());
  const ends = (some) => [
    Math.min(...some.map((box) => box.top)),
    Math.max(...some.map((box) => box.bottom)),
  ];
  const fits = ([first, last]) => last - first < height - EDGE;
  const [first, last] = fits(ends(boxes)) ? ends(boxes) : ends(boxes.slice(0, 1));
  // Below, the sentence that says what is chosen stands over the text.
  if (first >= top && last <= top + height - EDGE) return;
  frame.scrollBy({ top: (first + last) / 2 - top - height / 2, behavior: "instant" });
}

/** Show the map where its text is longer than some windows; it is as high as there is room. */
export function fitMap(root, height, frame) {
  // The map takes some of the width, and makes the text longer: what it needs to stay is less.
  const least = (root.hidden ? SCREENS : 0.8 * SCREENS) * frame;
  root.hidden = height <= least;
  root.style.setProperty("--length", `${Math.floor(Math.min(height, frame))}px`);
}

/**
 * The map of a list whose items are all there.
 * @param {{list: Element, items: () => Element[], strengths: () => ArrayLike<number>,
 *   frame: Element}} of the list, its items from top to bottom, a strength of each; and what scrolls
 *   where it is not the page
 */
export function listMap({ list, items, strengths, frame = null }) {
  const lane = () => {
    const all = items();
    return { count: all.length, strengths: strengths(), rows: [], seen: inSight(all, frame) };
  };
  const map = minimap(
    () => [lane()],
    (_lane, place) => bringToMiddle(items()[place], frame),
  );
  const fit = () => {
    const { height } = list.getBoundingClientRect();
    fitMap(map.root, items().length > 0 ? height : 0, frame ? frame.clientHeight : innerHeight);
    map.draw();
  };
  document.addEventListener("scroll", map.draw, { capture: true, passive: true });
  new ResizeObserver(fit).observe(list);
  return { root: map.root, draw: map.draw };
}

/** Something with its map beside it. */
export function mapped(content, map) {
  return element("div", { class: "mapped" }, [content, map.root]);
}
