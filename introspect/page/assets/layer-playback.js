// Through the layers one by one: every view of the page follows.
import { playback } from "./playback.js";

// Long enough to read the numbers under a dozen words.
const FRAME = 600;

/** A slider over the layers of a record, which can play; null where there is but one. */
export function layerPlayback(record, selection) {
  if (record.numLayers === 1) return null;
  const control = playback({
    name: "layers",
    button: "play-layers",
    label: "Layer",
    last: record.numLayers - 1,
    value: selection.row,
    frame: FRAME,
    say: (row) => String(record.layers[row]),
    change: (row) => selection.set({ row }),
  });
  selection.listeners.add((changed) => {
    if ("row" in changed) control.show(selection.row);
  });
  return control.root;
}
