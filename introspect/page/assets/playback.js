// A slider that can play: one place after the other, until it is stopped or there are no more.
import { slider } from "./controls.js";
import { announce, element } from "./dom.js";

const QUIET = window.matchMedia("(prefers-reduced-motion: reduce)");

/**
 * A slider with a button. Where the reader wants no motion, the button goes one step at a time.
 *
 * @param {{name: string, label: string, last: number, value: number, frame: number,
 *   longest?: number, say: Function, told?: Function, change: Function, button?: string}} options
 *   places from 0 to `last`; a place stays for `frame` milliseconds, and places are left out if all
 *   took longer than `longest`; `told` is said when it stops; `button` is the name of the button
 * @returns {{root: Element, show: Function, pause: Function}} show sets it without telling anybody
 */
export function playback(options) {
  const { name, label, last, value, frame, longest, say, told = say, change } = options;
  let place = value;
  let timer = null;
  const control = slider({
    name,
    label,
    min: 0,
    max: last,
    step: 1,
    value,
    say,
    change: (chosen) => {
      pause();
      go(chosen);
    },
  });
  const button = element("button", {
    type: "button",
    class: "plain",
    name: options.button ?? "play",
  });
  button.disabled = last === 0;

  function go(next) {
    place = next;
    control.show(place);
    change(place);
  }

  function rename() {
    const words = QUIET.matches ? "Next" : timer === null ? "Play" : "Pause";
    button.textContent = words;
    button.setAttribute("aria-label", `${words}: ${label.toLowerCase()}`);
  }

  function step(stride) {
    go(Math.min(place + stride, last));
    if (place === last) pause();
  }

  function play() {
    if (place === last) go(0);
    const most = longest ?? Number.POSITIVE_INFINITY;
    const stride = Math.max(1, Math.ceil(((last - place) * frame) / most));
    timer = setInterval(() => step(stride), frame);
    rename();
  }

  function pause() {
    if (timer === null) return;
    clearInterval(timer);
    timer = null;
    rename();
    announce(`${told(place)}.`);
  }

  function press() {
    if (timer !== null) pause();
    else if (!QUIET.matches) play();
    else go(place === last ? 0 : place + 1);
  }

  function show(now) {
    place = now;
    control.show(now);
  }

  button.addEventListener("click", press);
  QUIET.addEventListener("change", () => {
    pause();
    rename();
  });
  rename();
  return { root: element("span", { class: "playback" }, [control.root, button]), show, pause };
}
