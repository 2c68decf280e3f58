// What is seen as a file: SVG for print, PNG at three times the screen's resolution.
import { announce, element } from "./dom.js";

const SCALE = 3;

/**
 * Two buttons that write the view as it is.
 * @param {string} name what the file is called, without its ending
 * @param {() => {data: object[], layout: object}} figure what is seen as a whole Plotly figure,
 *   with its width and height in the layout
 */
export function exportButtons(name, figure) {
  const buttons = ["svg", "png"].map((format) => {
    const button = element(
      "button",
      { type: "button", class: "plain", name: `export-${format}` },
      format.toUpperCase(),
    );
    button.setAttribute("aria-label", `Save as ${format.toUpperCase()}`);
    button.addEventListener("click", () => save(name, format, figure()));
    return button;
  });
  return element("span", { class: "exports", role: "group", "aria-label": "Save the figure" }, [
    element("span", { class: "label" }, "Save as"),
    ...buttons,
  ]);
}

async function save(name, format, figure) {
  const { width, height } = figure.layout;
  const scale = format === "png" ? SCALE : 1;
  const address = await window.Plotly.toImage(figure, { format, width, height, scale });
  const link = element("a", { href: address, download: `${name}.${format}` });
  link.click();
  announce(`Saved as ${name}.${format}.`);
}
