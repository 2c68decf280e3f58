// What the page carries: JSON, and weights as compressed bytes that are unpacked on first use.

/** The bytes of a data block (base64 of gzip). */
export async function unpack(id) {
  const packed = bytesOf(document.getElementById(id).textContent);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** The bytes that a text of base64 stands for. */
function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  // A loop: of the 20 MB of a long text, a call for each character takes most of a second.
  for (let place = 0; place < binary.length; place += 1) bytes[place] = binary.charCodeAt(place);
  return bytes;
}

/** What a compressed block of JSON holds. */
export async function unpackJson(id) {
  return JSON.parse(new TextDecoder().decode(await unpack(id)));
}

const ROOTS = Float64Array.from({ length: 255 }, (_, code) => (code / 254) ** (5 / 3));

/** The value of each code of a codec; NaN for the code that means missing. */
function decoderOf(codec) {
  if (codec === "u16") return (code) => (code === 65535 ? Number.NaN : code / 65534);
  return (code) => (code === 255 ? Number.NaN : ROOTS[code]);
}

/** Weights that are all there: a code each. */
class DenseWeights {
  constructor(buffer, codec, [, numHeads, queryLen, keyLen]) {
    this.codes = codec === "u16" ? new Uint16Array(buffer) : new Uint8Array(buffer);
    this.decode = decoderOf(codec);
    Object.assign(this, { numHeads, queryLen, keyLen });
  }

  at(row, head, query, key) {
    const line = ((row * this.numHeads + head) * this.queryLen + query) * this.keyLen;
    return this.decode(this.codes[line + key]);
  }

  forEach(row, head, query, visit) {
    for (let key = 0; key < this.keyLen; key += 1) visit(key, this.at(row, head, query, key));
  }

  remainder() {
    return 0;
  }
}

/** Only the largest weights of each row, in the order of their keys; others are read as 0. */
class SparseWeights {
  constructor(buffer, kept, [numLayers, numHeads, queryLen]) {
    const count = numLayers * numHeads * queryLen * kept;
    this.keys = new Uint16Array(buffer, 0, count);
    this.codes = new Uint8Array(buffer, 2 * count, count);
    this.remainders = new Uint8Array(buffer, 3 * count);
    this.decode = decoderOf("u8root");
    Object.assign(this, { kept, numHeads, queryLen });
  }

  line(row, head, query) {
    return (row * this.numHeads + head) * this.queryLen + query;
  }

  at(row, head, query, key) {
    let low = this.line(row, head, query) * this.kept;
    const end = low + this.kept;
    let high = end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.keys[middle] < key) low = middle + 1;
      else high = middle;
    }
    return low < end && this.keys[low] === key ? this.decode(this.codes[low]) : 0;
  }

  forEach(row, head, query, visit) {
    const start = this.line(row, head, query) * this.kept;
    for (let place = start; place < start + this.kept; place += 1) {
      visit(this.keys[place], this.decode(this.codes[place]));
    }
  }

  remainder(row, head, query) {
    return this.decode(this.remainders[this.line(row, head, query)]);
  }
}

/** An array of numbers from 0 to 1, of any shape. */
export class PageArray {
  constructor(id, { shape, codec }) {
    this.id = id;
    this.shape = shape;
    this.codec = codec;
    this.decode = decoderOf(codec);
  }

  async load() {
    const buffer = await unpack(this.id);
    this.codes = this.codec === "u16" ? new Uint16Array(buffer) : new Uint8Array(buffer);
  }

  at(place) {
    return this.decode(this.codes[place]);
  }
}

/** One attention record: tokens, and weights by layer row, head, query and key. */
export class PageRecord {
  constructor(number, json) {
    this.number = number;
    this.kind = json.kind;
    this.texts = json.texts;
    this.model = json.model;
    this.layers = json.layers;
    this.queries = json.queries;
    this.keys = json.keys ?? json.queries;
    this.codec = json.codec;
    this.shape = json.shape;
    [this.numLayers, this.numHeads, this.queryLen, this.keyLen] = json.shape;
    this.kept = json.kept;
    this.parts = json.parts;
    this.methods = json.methods;
    this.seen = json.seen;
    this.held = json.held ? new Set(json.held.map(String)) : null;
    this.unpacked = {};
    this.weights = null;
  }

  /** Unpack the weights; everything else needs this to have happened. */
  async load() {
    if (this.weights) return;
    const buffer = await unpack(`weights-${this.number}`);
    this.weights =
      this.codec === "sparse"
        ? new SparseWeights(buffer, this.kept, this.shape)
        : new DenseWeights(buffer, this.codec, this.shape);
  }

  /** Whether the page has the numbers of a head. */
  holds(row, head) {
    return !this.held || this.held.has(String([row, head]));
  }

  /** The weight that a query gives a key; `row` counts captured layers. */
  weight(row, head, query, key) {
    return this.weights.at(row, head, query, key);
  }

  /** Call `visit(key, weight)` for each weight of a query that the page has. */
  forEachWeight(row, head, query, visit) {
    this.weights.forEach(row, head, query, visit);
  }

  /** Whether the model's mask lets a query see a key. */
  canSee(row, query, key) {
    const mask = this.seen.masks[this.seen.layers[row]];
    if (mask === "all") return true;
    if (mask === "causal") return key <= query;
    const ends = mask[query];
    for (let place = 0; place < ends.length; place += 2) {
      if (key >= ends[place] && key < ends[place + 1]) return true;
    }
    return false;
  }

  /** How much of a query's attention lies in weights that the page leaves out. */
  remainder(row, head, query) {
    return this.weights.remainder(row, head, query);
  }

  /** Unpack a part, such as "queries"; everything else about it needs this to have happened. */
  async loadPart(name) {
    this.unpacked[name] ??= new Int16Array(await unpack(`part-${this.number}-${name}`));
  }

  /** A vector of a part: of one token, in a captured layer and a head of that part. */
  vector(name, row, head, token) {
    const { shape, scales } = this.parts[name];
    const [, heads, length, size] = shape;
    const start = ((row * heads + head) * length + token) * size;
    const unit = scales[row][head] / 32766;
    const codes = this.unpacked[name].subarray(start, start + size);
    return Array.from(codes, (code) => (code === -32768 ? Number.NaN : code * unit));
  }

  /** One number of a part: of a token and a place. */
  component(name, row, head, token, place) {
    const { shape, scales } = this.parts[name];
    const [, heads, length, size] = shape;
    const code = this.unpacked[name][((row * heads + head) * length + token) * size + place];
    return code === -32768 ? Number.NaN : (code * scales[row][head]) / 32766;
  }

  /** How many heads a part has; keys and values may be shared by several query heads. */
  partHeads(name) {
    return this.parts[name].shape[1];
  }

  /** The tokens of a side, "query" or "key". */
  side(name) {
    return name === "query" ? this.queries : this.keys;
  }
}

/** The records and sections of the page. */
export function readPage() {
  const json = JSON.parse(document.getElementById("page-data").textContent);
  const records = json.records.map((record, number) => new PageRecord(number, record));
  return { records, sections: json.sections };
}
