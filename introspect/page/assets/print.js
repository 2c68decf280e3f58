// Before a page is printed, its pictures are drawn for the width of a sheet and for white paper.
import { measureAll } from "./plot.js";
import { setPrinting } from "./theme.js";

/** Turn the page over to the printer, and back. */
export function followPrinting() {
  const turn = (now) => () => {
    document.documentElement.classList.toggle("printing", now);
    measureAll();
    setPrinting(now);
  };
  window.addEventListener("beforeprint", turn(true));
  window.addEventListener("afterprint", turn(false));
}
