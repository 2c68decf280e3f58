// What is seen as a file: SVG for print, PNG at three times the screen's resolution.
import { announce, element, escaped } from "./dom.js";
import { fileName, smallPrint } from "./export-words.js";
import { drawWaiting } from "./plot.js";
import { colorOf } from "./theme.js";
import { isGenerated, UNDERLINED } from "./tokens.js";

/** Pixels of a PNG for each of the screen. */
export const SCALE = 3;
// The small print below a picture: its letters, the room for them, how wide one is.
const LETTERS = 10;
const ROOM = 24;
const LETTER = 5.4;

const records = new WeakMap();

/** Which record a section shows, for the small print of its pictures. */
export function noteRecord(section, record) {
  records.set(section, record);
}

/**
 * Two buttons that write the view as it is.
 * @param {string} name what the file is called, before what it is of
 * @param {() => {data: object[], layout: object}} figure what is seen as a whole Plotly figure,
 *   with its width and height in the layout
 * @param {() => {head?: string, weights?: string}} of which head is seen, by which weights
 */
export function exportButtons(name, figure, of = () => ({})) {
  const root = saveButtons("export", "Save the figure", (format) => {
    const section = root.closest("section[data-view]");
    return figureFile(section, name, format, figure(), of());
  });
  return root;
}

/**
 * Two buttons, and what is said when one of them was pressed.
 * @param {string} prefix of the buttons' names
 * @param {string} label what they do, for readers of the screen
 * @param {(format: string) => Promise<{address: string, file: string}>} make the picture
 */
export function saveButtons(prefix, label, make) {
  const said = element("output", { class: "note" });
  const buttons = ["svg", "png"].map((format) => {
    const words = format.toUpperCase();
    const attributes = { type: "button", class: "plain", name: `${prefix}-${format}` };
    const button = element("button", { ...attributes, "aria-label": `Save as ${words}` }, words);
    button.addEventListener("click", async () => {
      // A picture off the screen may still be as it was before the last choice.
      drawWaiting();
      said.textContent = offer(await make(format));
    });
    return button;
  });
  const title = element("span", { class: "label" }, "Save as");
  const group = { class: "exports", role: "group", "aria-label": label };
  return element("span", group, [title, ...buttons, said]);
}

/** Hand a file to the browser; what to say beside the buttons, where it may not have come. */
function offer({ address, file }) {
  element("a", { href: address, download: file }).click();
  if (window.self === window.top) {
    announce(`Saved as ${file}.`);
    return "";
  }
  // A frame may forbid downloads, and does not tell.
  return `Offered as ${file}. If nothing came, this frame allows no downloads: open the page by itself.`;
}

/** The picture of a figure with its small print, and what it is called. */
async function figureFile(section, name, format, figure, { head, weights }) {
  const record = records.get(section);
  const text = record?.texts.join(" · ") ?? "";
  const number = section?.id.match(/\d+/)?.[0];
  const file = `${fileName([name, head], text, number)}.${format}`;
  const page = summaryOfPage();
  // Of many texts there is none to say, but a title.
  const subject = text || (page?.title ?? "");
  const line = record && isGenerated(record) ? UNDERLINED : "";
  const of = [subject, record?.model ?? page?.model, head, weights, line];
  const noted = withSmallPrint(figure, of);
  const { width, height } = noted.layout;
  const scale = format === "png" ? SCALE : 1;
  return { address: await window.Plotly.toImage(noted, { format, width, height, scale }), file };
}

/** What the page says of itself: its title and its model. */
function summaryOfPage() {
  const summary = document.getElementById("report-summary");
  return summary ? JSON.parse(summary.textContent) : null;
}

/** A figure with a line below it that says what it is of. */
function withSmallPrint({ data, layout }, [text, ...others]) {
  const { width, height, margin = {}, annotations = [] } = layout;
  const words = smallPrint(text, others, Math.floor((width - 2 * LETTERS) / LETTER));
  if (!words) return { data, layout };
  const bottom = (margin.b ?? 80) + ROOM;
  const line = {
    text: escaped(words),
    showarrow: false,
    font: { size: LETTERS, color: colorOf("muted") },
    x: 0,
    xref: "paper",
    xanchor: "left",
    xshift: LETTERS - (margin.l ?? 80),
    y: 0,
    yref: "paper",
    yanchor: "bottom",
    yshift: 5 - bottom,
  };
  return {
    data,
    layout: {
      ...layout,
      height: height + ROOM,
      margin: { ...margin, b: bottom },
      annotations: [...annotations, line],
    },
  };
}
