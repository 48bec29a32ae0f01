// ---- From the text in the page to bytes, and from bytes to numbers.

/** The bytes that base64 stands for. */
const fromBase64 = (text) => {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
};

/** Unpacks one LZ4 block. */
const unpack = (packed, length) => {
  const out = new Uint8Array(length);
  let from = 0, to = 0;
  // A length that does not fit into its four bits goes on in further bytes.
  const more = (first) => {
    let count = first;
    if (first === 15) {
      let byte;
      do { byte = packed[from++]; count += byte; } while (byte === 255);
    }
    return count;
  };
  while (from < packed.length) {
    const token = packed[from++];
    const literals = more(token >> 4);
    out.set(packed.subarray(from, from + literals), to);
    from += literals; to += literals;
    if (from >= packed.length) break;
    const back = packed[from] | packed[from + 1] << 8;
    from += 2;
    const end = to + more(token & 15) + 4;
    // What is copied may overlap with what it makes.
    for (let source = to - back; to < end; to++, source++) out[to] = out[source];
  }
  if (to !== length) throw new Error("the page is damaged: its data does not unpack");
  return out;
};

/** Reads numbers of variable length, one after the other. */
class Numbers {
  constructor(bytes) { this.bytes = bytes; this.at = 0; }

  next() {
    let byte = this.bytes[this.at++];
    if (byte < 128) return byte;
    // Numbers may have more than 32 bits, so they are multiplied and not shifted.
    let value = byte & 127, unit = 128;
    do { byte = this.bytes[this.at++]; value += (byte & 127) * unit; unit *= 128; } while (byte > 127);
    return value;
  }

  text() {
    const length = this.next();
    const text = new TextDecoder().decode(this.bytes.subarray(this.at, this.at + length));
    this.at += length;
    return text;
  }
}

/** The first place in a sorted array whose value is not less (or, with `after`, is greater). */
const search = (array, value, after = false, from = 0, to = array.length) => {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (after ? array[middle] <= value : array[middle] < value) from = middle + 1; else to = middle;
  }
  return from;
};

/** The first place below `count` at which a growing function is not less than the value. */
const searchBy = (valueAt, value, count) => {
  let from = 0, to = count;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (valueAt(middle) < value) from = middle + 1; else to = middle;
  }
  return from;
};

/** 1234567 as 1_234_567, the way coe writes numbers everywhere. */
const grouped = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "_");
