// What is seen as a file: SVG for print, PNG at three times the screen's resolution.
import { announce, element, escaped } from "./dom.js";
import { fileName, smallPrint } from "./export-words.js";
import { colorOf } from "./theme.js";

const SCALE = 3;
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
  const said = element("output", { class: "note" });
  const buttons = ["svg", "png"].map((format) => {
    const button = element(
      "button",
      { type: "button", class: "plain", name: `export-${format}` },
      format.toUpperCase(),
    );
    button.setAttribute("aria-label", `Save as ${format.toUpperCase()}`);
    button.addEventListener("click", async () => {
      const section = button.closest("section[data-view]");
      said.textContent = await save(section, name, format, figure(), of());
    });
    return button;
  });
  return element("span", { class: "exports", role: "group", "aria-label": "Save the figure" }, [
    element("span", { class: "label" }, "Save as"),
    ...buttons,
    said,
  ]);
}

/** Write a file; what to say beside the buttons, where it may not have come. */
async function save(section, name, format, figure, { head, weights }) {
  const record = records.get(section);
  const text = record?.texts.join(" · ") ?? "";
  const number = section?.id.match(/\d+/)?.[0];
  const file = `${fileName([name, head], text, number)}.${format}`;
  const page = summaryOfPage();
  // Of many texts there is none to say, but a title.
  const subject = text || (page?.title ?? "");
  const noted = withSmallPrint(figure, [subject, record?.model ?? page?.model, head, weights]);
  const { width, height } = noted.layout;
  const scale = format === "png" ? SCALE : 1;
  const address = await window.Plotly.toImage(noted, { format, width, height, scale });
  const link = element("a", { href: address, download: file });
  link.click();
  if (window.self === window.top) {
    announce(`Saved as ${file}.`);
    return "";
  }
  // A frame may forbid downloads, and does not tell.
  return `Offered as ${file}. If nothing came, this frame allows no downloads: open the page by itself.`;
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
