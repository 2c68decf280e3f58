// The three maps of the compare view beside each other as one Plotly figure, to be saved.
import { escaped, shortened } from "./dom.js";
import { colorBar, paperLayout } from "./figures.js";
import { figureSide, matrixFigure } from "./matrix-figure.js";
import { themed } from "./theme.js";

/** What the view shows, with its panels, grids, ranges and titles. */
export function compareFigure(view) {
  const { panels, style } = view;
  const block = view.state.seen;
  const { names } = view.state;
  const room = Math.max(...panels.map((panel) => panel.rooms.query));
  const side = figureSide(block.key);
  const step = side + room + 40;
  const across = 2 * step + side;
  const bars = ["weight", `${names[1]} − ${names[0]}`].map((text, place) =>
    colorBar(shortened(text, 24), { x: 1 + (20 + place * 110) / across, xanchor: "left" }),
  );
  const parts = panels.map((panel, number) =>
    matrixFigure(panel, view.grids[number], {
      range: view.ranges[number],
      colorscale: themed(number === 2 ? style.difference : style.scale),
      title: escaped(titleText(view.titles[number])),
      colorbar: [undefined, bars[0], bars[1]][number],
      number: number === 0 ? "" : String(number + 1),
    }),
  );
  const axes = Object.assign({}, ...parts.map((part) => part.axes));
  parts.forEach((_, number) => {
    const ending = number === 0 ? "" : String(number + 1);
    const start = number * step;
    Object.assign(axes[`xaxis${ending}`], {
      domain: [start / across, (start + side) / across],
      anchor: `y${ending}`,
    });
    axes[`yaxis${ending}`].anchor = `x${ending}`;
  });
  const top = Math.max(...panels.map((panel) => panel.rooms.key)) + 70;
  const layout = paperLayout("", {
    width: across + room + 20 + 240,
    height: figureSide(block.query) + top + 20,
    margin: { l: room + 20, r: 240, t: top, b: 20 },
    ...axes,
  });
  return { data: parts.map(({ trace }) => trace), layout };
}

function titleText(title) {
  const [name, head] = [...title.children].map((part) => part.textContent);
  return `${shortened(name, 40)}, ${head}`;
}
