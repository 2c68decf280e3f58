// The picture of a flow view: nodes and lines on a canvas, which is fast enough to follow a slider.
import { element } from "./dom.js";
import { colorOf } from "./theme.js";

const HEAD = 24;
const SIDE = 22;
const WIDTHS = 12;
// Lines of one pixel, many in a path, are the only ones that thousands can be drawn of in a frame.
const THIN = 1;
const THIN_STEPS = 1;
const BATCH = 64;
const THICK = 9;
/** Rows that are lower leave no room for width or dots: strength is shade alone. */
const ROOM_TO_DRAW = 4;
const SMALL_DOT = 1.5;
const LARGE_DOT = 6.5;
const NEAR = 6;
const LETTERS = 11;
// On paper a pixel is too coarse.
const PRINTED = 3;

/** The least height of rows that leaves room for what is read at nodes. */
const ROOM_TO_READ = 22;

export class FlowCanvas {
  constructor(columns, readings) {
    Object.assign(this, { columns, readings });
    this.picture = element("canvas", { "aria-hidden": "true" });
    this.root = element("div", { class: "flow-picture", tabindex: 0, role: "application" }, [
      this.picture,
    ]);
    this.root.style.setProperty("--flow-head", `${HEAD}px`);
    this.font = `${LETTERS}px ${getComputedStyle(document.body).fontFamily}`;
  }

  /** Take other edges, in groups of one width each. */
  take(edges) {
    this.edges = edges;
    this.groups = new Map();
    edges.all.forEach((edge, place) => {
      const isOwn = edge.query === edge.key;
      const step = Math.round(WIDTHS * Math.sqrt(Math.min(edge.amount, 1)));
      const name = 2 * step + (isOwn ? 0 : 1);
      if (!this.groups.has(name)) this.groups.set(name, { step, isOwn, places: [] });
      this.groups.get(name).places.push(place);
    });
    this.order = [...this.groups.values()].sort((a, b) => a.step - b.step || b.isOwn - a.isOwn);
  }

  /** Take other rows or another width. */
  place(rows, width) {
    this.rows = rows;
    this.width = width;
    this.height = rows.total + HEAD;
    this.colors = Object.fromEntries(
      ["ink", "muted", "accent", "edge", "line", "paper"].map((name) => [name, colorOf(name)]),
    );
    const scale = document.documentElement.classList.contains("printing")
      ? PRINTED
      : window.devicePixelRatio;
    this.picture.width = Math.round(width * scale);
    this.picture.height = Math.round(this.height * scale);
    this.picture.style.width = `${width}px`;
    this.picture.style.height = `${this.height}px`;
    this.pen = this.picture.getContext("2d");
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
  }

  lineWidth(step) {
    const isThin = step <= THIN_STEPS || this.rows.height < ROOM_TO_DRAW;
    return isThin ? THIN : THIN + ((THICK - THIN) * step) / WIDTHS;
  }

  /** A token's own state is fainter than what it takes from others; of thin lines, the weaker. */
  opacity(step, isOwn) {
    const shade = this.rows.height < ROOM_TO_DRAW ? 0.25 + (0.75 * step) / WIDTHS : 1;
    return (isOwn ? 0.55 : step <= THIN_STEPS ? 0.6 : 0.85) * shade;
  }

  /** The radius of a node. */
  dotSize(column, token) {
    const amount = Math.min(this.edges.amount(column, token), 1);
    const most = Math.min(LARGE_DOT, Math.max(1, this.rows.height / 2));
    return Math.min(SMALL_DOT + (LARGE_DOT - SMALL_DOT) * Math.sqrt(amount), most);
  }

  x(column) {
    const inner = this.width - 2 * SIDE;
    return SIDE + (column * inner) / (this.columns.length - 1);
  }

  y(token) {
    return HEAD + this.rows.middles[token];
  }

  /** Draw the first so many edges, and one that is pointed at or chosen. */
  draw(count, marked = null) {
    const { pen, order } = this;
    this.count = count;
    pen.clearRect(0, 0, this.width, this.height);
    this.drawHead();
    for (const group of order) this.drawGroup(group, count);
    if (marked) this.drawEdge(marked);
    this.drawNodes(count);
  }

  drawHead() {
    const { pen, columns, colors } = this;
    pen.font = this.font;
    pen.fillStyle = colors.muted;
    pen.strokeStyle = colors.line;
    pen.lineWidth = 1;
    const gap = this.x(1) - this.x(0);
    const widest = Math.max(...columns.map((name) => pen.measureText(name).width)) + 6;
    const every = Math.ceil(widest / gap);
    columns.forEach((name, column) => {
      const isLast = column === columns.length - 1;
      if (column % every !== 0 && !isLast) return;
      // The last one is named whatever is left out before it.
      if (!isLast && columns.length - 1 - column < every) return;
      pen.textAlign = "center";
      pen.fillText(name, this.x(column), 12);
      pen.beginPath();
      pen.moveTo(this.x(column), HEAD - 6);
      pen.lineTo(this.x(column), this.height);
      pen.stroke();
    });
  }

  drawGroup({ step, isOwn, places }, count) {
    const { pen, edges, colors } = this;
    pen.strokeStyle = isOwn ? colors.edge : colors.accent;
    pen.lineWidth = this.lineWidth(step);
    pen.globalAlpha = this.opacity(step, isOwn);
    const batch = pen.lineWidth > THIN ? 1 : BATCH;
    let drawn = 0;
    pen.beginPath();
    for (const place of places) {
      if (place >= count) break;
      this.trace(edges.all[place]);
      drawn += 1;
      if (drawn % batch === 0) {
        pen.stroke();
        pen.beginPath();
      }
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  trace({ row, query, key }) {
    this.pen.moveTo(this.x(row), this.y(key));
    this.pen.lineTo(this.x(row + 1), this.y(query));
  }

  drawEdge(edge) {
    const { pen, colors } = this;
    pen.strokeStyle = colors.ink;
    pen.lineWidth = THIN + (THICK - THIN) * Math.sqrt(edge.amount) + 1.5;
    pen.beginPath();
    this.trace(edge);
    pen.stroke();
  }

  /** The nodes of the first so many edges, and the tokens after the last layer. */
  nodes(count) {
    const { edges } = this;
    const found = new Map();
    const put = (column, token) =>
      found.set(column * this.rows.middles.length + token, [column, token]);
    const last = this.columns.length - 1;
    edges.amounts[last].forEach((amount, token) => {
      if (amount > 0) put(last, token);
    });
    for (let place = 0; place < count; place += 1) put(edges.all[place].row, edges.all[place].key);
    return found.values();
  }

  drawNodes(count) {
    const { pen, colors, rows, readings } = this;
    if (rows.height < ROOM_TO_DRAW) return;
    const isRead = readings.length > 0 && rows.height >= ROOM_TO_READ;
    pen.font = this.font;
    pen.textAlign = "center";
    for (const [column, token] of this.nodes(count)) {
      const size = this.dotSize(column, token);
      pen.fillStyle = colors.ink;
      pen.beginPath();
      pen.arc(this.x(column), this.y(token), size, 0, 2 * Math.PI);
      pen.fill();
      if (isRead) this.write(readings[column][token][0], column, token, size);
    }
  }

  /** What the lens reads at a node, on paper of its own: lines run below it. */
  write(text, column, token, size) {
    const { pen, colors } = this;
    const room = Math.max(20, this.x(1) - this.x(0) - 10);
    const words = fitted(pen, text, room);
    if (words === "") return;
    const half = pen.measureText(words).width / 2 + 2;
    const x = Math.min(Math.max(this.x(column), half), this.width - half);
    const y = this.y(token) - size - 4;
    pen.globalAlpha = 0.8;
    pen.fillStyle = colors.paper;
    pen.fillRect(x - half, y - LETTERS + 1, 2 * half, LETTERS + 2);
    pen.globalAlpha = 1;
    pen.fillStyle = colors.ink;
    pen.fillText(words, x, y);
  }

  /** The node, or else the edge, that is under a pointer. */
  at({ clientX, clientY }) {
    const { left, top } = this.picture.getBoundingClientRect();
    const [x, y] = [clientX - left, clientY - top];
    const near = (column, token) => Math.hypot(this.x(column) - x, this.y(token) - y);
    let node = null;
    let nearest = Math.max(NEAR, Math.min(LARGE_DOT, this.rows.height / 2)) + 1;
    for (const [column, token] of this.nodes(this.count)) {
      const distance = near(column, token);
      if (distance < nearest) [node, nearest] = [{ column, token }, distance];
    }
    return node ?? this.edgeAt(x, y);
  }

  edgeAt(x, y) {
    let edge = null;
    let nearest = NEAR;
    for (let place = 0; place < this.count; place += 1) {
      const one = this.edges.all[place];
      const [from, to] = [this.x(one.row), this.x(one.row + 1)];
      if (x < from || x > to) continue;
      const [start, end] = [this.y(one.key), this.y(one.query)];
      const slope = (end - start) / (to - from);
      const distance = Math.abs(y - start - slope * (x - from)) / Math.hypot(1, slope);
      const half = (THICK * Math.sqrt(one.amount)) / 2;
      if (distance - half < nearest) [edge, nearest] = [one, distance - half];
    }
    return edge;
  }
}

function fitted(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let kept = "";
  for (const letter of text) {
    if (pen.measureText(`${kept}${letter}…`).width > room) break;
    kept += letter;
  }
  return `${kept}…`;
}
