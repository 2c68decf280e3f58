// What the page carries: JSON, and weights as compressed bytes that are unpacked on first use.

/** The bytes of a data block (base64 of gzip). */
export async function unpack(id) {
  const text = document.getElementById(id).textContent;
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** The value of each code of a codec; NaN for the code that means missing. */
function decoderOf(codec) {
  if (codec === "u16") return (code) => (code === 65535 ? Number.NaN : code / 65534);
  return (code) => (code === 255 ? Number.NaN : (code / 254) ** 2);
}

/** One attention record: tokens, and weights by layer row, head, query and key. */
export class PageRecord {
  constructor(number, json) {
    this.number = number;
    this.kind = json.kind;
    this.layers = json.layers;
    this.queries = json.queries;
    this.keys = json.keys ?? json.queries;
    this.codec = json.codec;
    [this.numLayers, this.numHeads, this.queryLen, this.keyLen] = json.shape;
    this.parts = json.parts;
    this.unpacked = {};
    this.codes = null;
    this.decode = decoderOf(json.codec);
  }

  /** Unpack the weights; everything else needs this to have happened. */
  async load() {
    if (this.codes) return;
    const buffer = await unpack(`weights-${this.number}`);
    this.codes = this.codec === "u16" ? new Uint16Array(buffer) : new Uint8Array(buffer);
  }

  /** The weight that a query gives a key; `row` counts captured layers. */
  weight(row, head, query, key) {
    const line = ((row * this.numHeads + head) * this.queryLen + query) * this.keyLen;
    return this.decode(this.codes[line + key]);
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
