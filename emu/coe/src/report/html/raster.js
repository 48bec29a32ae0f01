// ---- Pixels by hand: thousands of columns of one pixel are faster this way than as shapes.

/** Pixels of a part of a canvas, put there all at once. */
class Raster {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
    this.width = this.height = 0;
  }

  /** Begins an empty part of so many device pixels. */
  begin(width, height) {
    if (this.width !== width || this.height !== height) {
      Object.assign(this.canvas, { width, height });
      Object.assign(this, { width, height });
      this.image = this.context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    } else if (this.used) this.pixels.fill(0);
    this.used = false;
  }

  /** Colours one column from y0 to before y1. */
  column(x, y0, y1, colour) {
    if (x < 0 || x >= this.width) return;
    this.used = true;
    for (let at = y0 * this.width + x, end = y1 * this.width; at < end; at += this.width) this.pixels[at] = colour;
  }

  /** Lays what was coloured over a canvas. */
  put(context, x, y, ratio) {
    if (!this.used) return;
    this.context.putImageData(this.image, 0, 0);
    context.drawImage(this.canvas, x, y, this.width / ratio, this.height / ratio);
  }
}

/** A colour in the order of an image's bytes; it is written as six hexadecimal digits. */
const packedColour = (hex) => {
  const value = parseInt(hex.slice(1), 16);
  return (0xff000000 | (value & 0xff) << 16 | value & 0xff00 | value >> 16) >>> 0;
};
