// The sentence and the strip of heads as a picture of their own: SVG without a script or a style sheet.
import { element, svgElement } from "./dom.js";
import { SCALE, saveButtons } from "./exporting.js";
import { colorOf } from "./theme.js";

const MARGIN = 16;
const LINE = 20;
const SPACE = "http://www.w3.org/2000/svg";

/**
 * The picture of what is seen now.
 * @param {Element} root the element that holds words and strip
 * @param {string[]} lines what stands below: the sentence on the pair, and the small print
 * @returns {{svg: string, width: number, height: number}}
 */
export function sentencePicture(root, lines) {
  const frame = root.getBoundingClientRect();
  const width = Math.ceil(frame.width) + 2 * MARGIN;
  const base = Math.ceil(bottomOf(root, frame)) + MARGIN;
  const height = base + lines.length * LINE + MARGIN;
  const picture = svgElement("svg", {
    xmlns: SPACE,
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
  });
  picture.append(svgElement("title", {}, lines[0]));
  picture.append(svgElement("rect", { width, height, fill: colorOf("paper") }));
  const content = svgElement("g", { transform: `translate(${MARGIN} ${MARGIN})` });
  for (const word of root.querySelectorAll(".word")) content.append(...wordParts(word, frame));
  content.append(arcParts(root.querySelector(".word-arcs"), frame));
  for (const cell of root.querySelectorAll(".strip-cell")) {
    if (cell.offsetWidth > 0) content.append(cellPart(cell, frame));
  }
  for (const name of root.querySelectorAll(".strip-name, .strip-columns span, .strip-together")) {
    content.append(...textPart(name, frame));
  }
  picture.append(content, ...lines.map((line, number) => caption(line, base, number)));
  return { svg: new XMLSerializer().serializeToString(picture), width, height };
}

function bottomOf(root, frame) {
  const parts = [
    ...root.querySelectorAll(".word, .word small, .strip-cell, .strip-columns, .strip-together"),
  ];
  return Math.max(...parts.map((part) => part.getBoundingClientRect().bottom)) - frame.top;
}

/** A word: its tint on every line that it is on, its letters, its number. */
function wordParts(word, frame) {
  const background = fillOf(getComputedStyle(word).backgroundColor);
  const boxes = [...word.getClientRects()].map((box) =>
    svgElement("rect", { ...boxOf(box, frame), ...background }),
  );
  const parts = [...boxes, ...textPart(word.firstChild, frame)];
  return word.lastChild.textContent ? [...parts, ...textPart(word.lastChild, frame)] : parts;
}

/** The letters of an element, in its own font, exactly as wide as they are on the page. */
function textPart(part, frame) {
  const text = part.textContent;
  const style = getComputedStyle(part);
  if (!text || style.visibility === "hidden") return [];
  const range = document.createRange();
  range.selectNodeContents(part);
  const box = range.getClientRects()[0];
  if (!box) return [];
  return [
    svgElement(
      "text",
      {
        x: box.left - frame.left + box.width / 2,
        y: box.top - frame.top + box.height / 2,
        "text-anchor": "middle",
        "dominant-baseline": "central",
        "font-family": style.fontFamily,
        "font-size": style.fontSize,
        "font-weight": style.fontWeight,
        ...(part.closest("[data-generated]") && part.matches(".word-text")
          ? { "text-decoration": "underline" }
          : {}),
        ...fillOf(style.color),
      },
      text,
    ),
  ];
}

function arcParts(layer, frame) {
  const box = layer.getBoundingClientRect();
  const group = svgElement("g", {
    transform: `translate(${box.left - frame.left} ${box.top - frame.top})`,
    fill: "none",
  });
  for (const path of layer.children) {
    const { fill, "fill-opacity": opacity } = fillOf(getComputedStyle(path).stroke);
    group.append(
      svgElement("path", {
        d: path.getAttribute("d"),
        stroke: fill,
        "stroke-width": path.getAttribute("stroke-width"),
        "stroke-opacity": opacity * path.getAttribute("stroke-opacity"),
      }),
    );
  }
  return group;
}

function cellPart(cell, frame) {
  const isChosen = cell.getAttribute("aria-selected") === "true";
  const frameLine = isChosen ? { stroke: colorOf("ink"), "stroke-width": 2 } : {};
  const fill = fillOf(getComputedStyle(cell).backgroundColor);
  return svgElement("rect", {
    ...boxOf(cell.getBoundingClientRect(), frame),
    ...fill,
    ...frameLine,
  });
}

function boxOf(box, frame) {
  return {
    x: box.left - frame.left,
    y: box.top - frame.top,
    width: box.width,
    height: box.height,
  };
}

/** A color of the page as others read it: style sheets mix colors in a notation of their own. */
export function fillOf(color) {
  const numbers = color.match(/[\d.]+(?:e-?\d+)?/g)?.map(Number) ?? [0, 0, 0];
  const isShares = color.startsWith("color(");
  const [red, green, blue, opacity = 1] = numbers;
  const channels = [red, green, blue].map((one) => Math.round(isShares ? 255 * one : one));
  return { fill: `rgb(${channels.join(",")})`, "fill-opacity": opacity };
}

function caption(line, base, number) {
  const isFirst = number === 0;
  return svgElement(
    "text",
    {
      x: MARGIN,
      y: base + MARGIN + number * LINE,
      "font-family": "sans-serif",
      "font-size": isFirst ? 14 : 11,
      "font-weight": isFirst ? 600 : 400,
      fill: colorOf(isFirst ? "ink" : "muted"),
    },
    line,
  );
}

/** Buttons that save such a picture. */
export function pictureButtons(name, picture) {
  return saveButtons("save", "Save the sentence", async (format) => {
    const address = URL.createObjectURL(await blobOf(picture(), format));
    setTimeout(() => URL.revokeObjectURL(address), 1000);
    return { address, file: `${name()}.${format}` };
  });
}

async function blobOf({ svg, width, height }, format) {
  const drawn = new Blob([svg], { type: "image/svg+xml" });
  if (format === "svg") return drawn;
  const address = URL.createObjectURL(drawn);
  const image = new Image(width, height);
  image.src = address;
  await image.decode();
  const canvas = element("canvas", { width: SCALE * width, height: SCALE * height });
  canvas.getContext("2d").drawImage(image, 0, 0, SCALE * width, SCALE * height);
  URL.revokeObjectURL(address);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
