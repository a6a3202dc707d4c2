// Raw formats to pixels, for cameras that send no JPEG. Coefficients are those of BT.601 and BT.709.

export const FORMATS = ["mjpeg", "yuyv", "uyvy", "nv12", "grey", "rgb24", "bgr24", "png", "tiff", "bmp"];
export const MEDIA = { mjpeg: "image/jpeg", png: "image/png", bmp: "image/bmp" };

const COLOURS = [
  { kr: 0.299, kb: 0.114, limited: true }, { kr: 0.299, kb: 0.114, limited: false },
  { kr: 0.2126, kb: 0.0722, limited: true }, { kr: 0.2126, kb: 0.0722, limited: false },
];

export const isRaw = (format) => ["yuyv", "uyvy", "nv12", "grey", "rgb24", "bgr24"].includes(format);

// null when the bytes do not fill the picture.
export function pixels(format, colour, width, height, bytes) {
  const count = width * height;
  const needed = { yuyv: count * 2, uyvy: count * 2, nv12: count * 1.5, grey: count, rgb24: count * 3, bgr24: count * 3 }[format];
  if (!needed || bytes.length < needed) return null;
  const out = new Uint8ClampedArray(count * 4).fill(255);
  if (format === "grey") for (let i = 0; i < count; i++) out[i * 4] = out[i * 4 + 1] = out[i * 4 + 2] = bytes[i];
  else if (format === "rgb24" || format === "bgr24") {
    const [r, b] = format === "rgb24" ? [0, 2] : [2, 0];
    for (let i = 0; i < count; i++) {
      out[i * 4] = bytes[i * 3 + r];
      out[i * 4 + 1] = bytes[i * 3 + 1];
      out[i * 4 + 2] = bytes[i * 3 + b];
    }
  } else luma(format, COLOURS[colour] ?? COLOURS[0], width, height, bytes, out);
  return new ImageData(out, width, height);
}

function luma(format, { kr, kb, limited }, width, height, bytes, out) {
  const kg = 1 - kr - kb;
  const [base, gain, chroma] = limited ? [16, 255 / 219, 255 / 224] : [0, 1, 1];
  const rv = 2 * (1 - kr) * chroma, bu = 2 * (1 - kb) * chroma;
  const gu = (bu * kb) / kg, gv = (rv * kr) / kg;
  const put = (i, y, u, v) => {
    const light = (y - base) * gain;
    out[i * 4] = light + rv * v;
    out[i * 4 + 1] = light - gu * u - gv * v;
    out[i * 4 + 2] = light + bu * u;
  };
  if (format === "nv12") {
    const plane = width * height;
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const c = plane + (y >> 1) * width + (x & ~1);
        put(i, bytes[i], bytes[c] - 128, bytes[c + 1] - 128);
      }
    }
    return;
  }
  const [y0, u, v] = format === "yuyv" ? [0, 1, 3] : [1, 0, 2];
  for (let i = 0, at = 0; i < width * height; i += 2, at += 4) {
    const blue = bytes[at + u] - 128, red = bytes[at + v] - 128;
    put(i, bytes[at + y0], blue, red);
    put(i + 1, bytes[at + y0 + 2], blue, red);
  }
}
