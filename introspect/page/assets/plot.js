// Plotly, unpacked from the page and used only to draw: tokens and controls are HTML.
import { unpack } from "./data.js";

/** Unpack Plotly and run it as a script whose hash the page's policy allows. */
export async function loadPlotly() {
  if (window.Plotly) return;
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unpack("plotly"));
  document.head.append(script);
  if (!window.Plotly) throw new Error("Plotly did not start: the page may be damaged");
  document.getElementById("plotly").remove();
}

const BARE_AXIS = {
  visible: false,
  fixedrange: true,
  showgrid: false,
  zeroline: false,
};

// Pictures that wait, and which sections are on the screen; one never asked about counts as seen.
const undrawn = new Map();
const isAway = new WeakMap();
const whenIdle = window.requestIdleCallback ?? ((act) => setTimeout(act, 30));
const screen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    isAway.set(target, !isIntersecting);
    target.classList.toggle("away", !isIntersecting);
  }
  drawWaiting((picture) => !isAway.get(sectionOf(picture)));
});

/** Lay a section out only while it is on the screen: a choice changes all of them. */
export function restWhenAway(section) {
  if (isAway.has(section)) return;
  isAway.set(section, false);
  screen.observe(section);
}

/**
 * Draw a picture: now what is on the screen, and else when nothing is left to do, or it comes onto
 * the screen, or everything is needed.
 */
export function whenOnScreen(target, act) {
  const section = sectionOf(target);
  restWhenAway(section);
  const isPrinting = document.documentElement.classList.contains("printing");
  if (isPrinting || !isAway.get(section)) {
    undrawn.delete(target);
    act();
    return;
  }
  if (undrawn.size === 0) whenIdle(drawNext);
  undrawn.set(target, act);
}

function sectionOf(target) {
  return target.closest("section[data-view]") ?? target;
}

/** One after the other, so that a click in between need not wait for all. */
function drawNext() {
  const [first] = undrawn.keys();
  drawWaiting((picture) => picture === first);
  if (undrawn.size > 0) whenIdle(drawNext);
}

/** Draw what waits, if it is still there: all, or what is asked for. */
export function drawWaiting(isWanted = () => true) {
  for (const [picture, act] of undrawn) {
    if (picture.isConnected && !isWanted(picture)) continue;
    undrawn.delete(picture);
    if (picture.isConnected) act();
  }
}

/**
 * Draw traces that fill the element, with nothing around them.
 * @param {() => object[]} traces make them
 */
export function draw(target, traces, view) {
  whenOnScreen(target, () => drawNow(target, traces(), view));
}

function drawNow(target, traces, { x, y, width, height, shapes = [] }) {
  const layout = {
    width,
    height,
    margin: { l: 0, r: 0, t: 0, b: 0 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    showlegend: false,
    hovermode: false,
    xaxis: { ...BARE_AXIS, range: x },
    yaxis: { ...BARE_AXIS, range: y },
    shapes,
  };
  window.Plotly.react(target, traces, layout, { staticPlot: true, displayModeBar: false });
}

const measurements = new Set();
const waiting = new Map();

/**
 * Before the next frame, once: what asks where things stand waits until all views have changed, as
 * each asking lays the whole page out.
 */
export function beforeFrame(owner, act) {
  if (waiting.size === 0) requestAnimationFrame(actNow);
  waiting.set(owner, act);
}

function actNow() {
  const acts = [...waiting.values()];
  waiting.clear();
  for (const act of acts) act();
}

/** Call back with the element's width now and whenever it changes. */
export function onWidth(target, callback) {
  let last = -1;
  const measure = () => {
    const width = Math.floor(target.clientWidth);
    if (width > 0 && width !== last) {
      last = width;
      callback(width);
    }
  };
  new ResizeObserver(measure).observe(target);
  measurements.add({ target, measure });
}

/** Measure at once: a page that is printed does not wait. */
export function measureAll() {
  actNow();
  drawWaiting();
  for (const one of measurements) {
    if (one.target.isConnected) one.measure();
    else measurements.delete(one);
  }
}
