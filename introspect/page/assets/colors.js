// Colors as numbers: a scale as a function, and an ink that is read on a color.

function channels(hex) {
  return [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16));
}

/** A function from 0 to 1 to the color of a scale, red, green and blue. */
export function coloring(scale) {
  const stops = scale.map(([at, hex]) => [at, channels(hex)]);
  return (value) => {
    const bounded = Math.min(Math.max(value, 0), 1);
    const next = Math.max(
      1,
      stops.findIndex(([at]) => at >= bounded),
    );
    const [[low, from], [high, to]] = [stops[next - 1], stops[next]];
    const part = (bounded - low) / (high - low);
    return from.map((channel, place) => Math.round(channel + part * (to[place] - channel)));
  };
}

/** Black or white, whichever is read better on a color. */
export function inkOn(color) {
  const [red, green, blue] = color.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}
