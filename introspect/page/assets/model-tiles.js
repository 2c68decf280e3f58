// The small maps of the model view: every head's pattern, pooled where the text is long.

/** The maps of the attention itself where the text is short: a cell for each weight. */
export class WholeTiles {
  constructor(record) {
    this.record = record;
    this.numHeads = record.numHeads;
    this.height = record.queryLen;
    this.width = record.keyLen;
    this.most = 1;
  }

  value(row, head, y, x) {
    return this.record.weight(row, head, y, x);
  }
}

/** The maps of the attention itself, pooled before the page was written. */
export class OwnTiles {
  constructor(array) {
    this.array = array;
    [, this.numHeads, this.height, this.width] = array.shape;
    this.most = 1;
  }

  value(row, head, y, x) {
    const start = (row * this.numHeads + head) * this.height * this.width;
    return this.array.at(start + y * this.width + x);
  }
}

/** The maps of another method, pooled by the largest here. */
export class PatternTiles {
  constructor(pattern, cells, isUnbounded) {
    const { numLayers, numHeads, queryLen, keyLen } = pattern;
    const [down, across] = [queryLen, keyLen].map((length) => Math.ceil(length / cells));
    this.numHeads = numHeads;
    this.height = Math.ceil(queryLen / down);
    this.width = Math.ceil(keyLen / across);
    this.values = new Float64Array(numLayers * numHeads * this.height * this.width);
    this.values.fill(Number.NaN);
    let largest = 0;
    for (let row = 0; row < numLayers; row += 1) {
      for (let head = 0; head < numHeads; head += 1) {
        for (let query = 0; query < queryLen; query += 1) {
          const y = Math.floor(query / down);
          for (let key = 0; key < keyLen; key += 1) {
            const place = this.place(row, head, y, Math.floor(key / across));
            const value = pattern.weight(row, head, query, key);
            if (!(value <= this.values[place])) this.values[place] = value;
            if (value > largest) largest = value;
          }
        }
      }
    }
    this.most = isUnbounded ? largest || 1 : 1;
  }

  place(row, head, y, x) {
    return ((row * this.numHeads + head) * this.height + y) * this.width + x;
  }

  value(row, head, y, x) {
    return this.values[this.place(row, head, y, x)];
  }
}

/** How many cells a map takes with the gaps around it. */
export function tileSize({ height, width }, gap) {
  return { height: height + 2 * gap, width: width + 2 * gap };
}

/** All maps side by side with gaps between them, in the order of heads that is given. */
export function joined(tiles, numLayers, gap, order) {
  const { numHeads } = tiles;
  const { height, width } = tileSize(tiles, gap);
  const values = Array.from({ length: numLayers * height }, () =>
    new Array(numHeads * width).fill(null),
  );
  for (let line = 0; line < numLayers; line += 1) {
    for (let column = 0; column < numHeads; column += 1) {
      const [row, head] = order ? order[line * numHeads + column] : [line, column];
      for (let y = 0; y < tiles.height; y += 1) {
        for (let x = 0; x < tiles.width; x += 1) {
          const value = tiles.value(row, head, y, x);
          if (Number.isNaN(value)) continue;
          values[line * height + gap + y][column * width + gap + x] = value;
        }
      }
    }
  }
  return { values, height, width };
}
