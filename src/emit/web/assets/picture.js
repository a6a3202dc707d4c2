// The live picture: the camera's own bytes, drawn as they come. The newest frame is drawn, what came between is put
// aside, and the service is told of both, so that it sends no more than can be drawn.

import { FORMATS, MEDIA, isRaw, pixels } from "./pixels.js";

const HEADER = 32;
// Frames whose bytes are kept for the measurements that come after them: three seconds at 30 frames/s.
const KEPT = 90;
// Above this a picture is not live any more, and is greyed.
export const OLD_MS = 500;
const DELAYS_KEPT = 600;

export const idOf = ({ run, seq }) => `${run}.${seq}`;

export class Picture extends EventTarget {
  constructor(canvas, link) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.link = link;
    this.frames = new Map();
    this.waiting = null;
    this.drawn = null;
    this.delays = [];
    this.drawnAt = [];
    this.unshowable = null;
    link.addEventListener("frame", (event) => this.arrived(event.detail));
    link.addEventListener("cut", () => this.frames.clear());
  }

  arrived(buffer) {
    const view = new DataView(buffer);
    if (buffer.byteLength <= HEADER || view.getUint8(0) !== 1) return this.link.say({ do: "seen", frames: 1 });
    const frame = {
      run: view.getUint32(4, true),
      seq: Number(view.getBigUint64(8, true)),
      at_us: Number(view.getBigUint64(16, true)),
      width: view.getUint32(24, true),
      height: view.getUint32(28, true),
      format: FORMATS[view.getUint8(1)],
      colour: view.getUint8(2),
      bytes: new Uint8Array(buffer, HEADER),
      came: performance.now(),
    };
    this.frames.set(idOf(frame), frame);
    if (this.frames.size > KEPT) this.frames.delete(this.frames.keys().next().value);
    this.decode(frame).then((bitmap) => this.ready(frame, bitmap), () => this.broken(frame));
  }

  // The pixels of a frame; of one that cannot be shown, an error.
  async decode(frame) {
    if (isRaw(frame.format)) {
      const image = pixels(frame.format, frame.colour, frame.width, frame.height, frame.bytes);
      if (!image) throw new Error("short frame");
      return createImageBitmap(image);
    }
    const media = MEDIA[frame.format];
    if (!media) throw new Error("format");
    return createImageBitmap(new Blob([frame.bytes], { type: media }));
  }

  broken(frame) {
    this.unshowable = MEDIA[frame.format] || isRaw(frame.format) ? null : frame.format;
    this.link.say({ do: "seen", frames: 1 });
  }

  ready(frame, bitmap) {
    this.unshowable = null;
    const older = this.waiting;
    if (older && !newer(frame, older.frame)) {
      bitmap.close();
      return this.link.say({ do: "seen", frames: 1 });
    }
    this.waiting = { frame, bitmap };
    if (older) {
      older.bitmap.close();
      this.link.say({ do: "seen", frames: 1 });
    } else if (document.hidden) this.draw();
    else requestAnimationFrame(() => this.draw());
  }

  draw() {
    const { frame, bitmap } = this.waiting;
    this.waiting = null;
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
    }
    this.context.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.drawn = frame;
    this.link.say({ do: "seen", frames: 1 });
    // What was drawn is on the screen when the next picture of the screen begins.
    requestAnimationFrame(() => this.shown(frame));
    this.dispatchEvent(new CustomEvent("drawn", { detail: frame }));
  }

  shown(frame) {
    const now = performance.now();
    const delay = this.link.since(frame.at_us);
    if (delay !== null) this.delays.push(delay);
    this.drawnAt.push(now);
    this.delays.splice(0, Math.max(0, this.delays.length - DELAYS_KEPT));
    while (this.drawnAt.length > 0 && now - this.drawnAt[0] > 3000) this.drawnAt.shift();
  }

  // Milliseconds since the frame on the screen was captured; by its coming where the source is a recording.
  age() {
    if (!this.drawn) return null;
    return this.link.since(this.drawn.at_us) ?? performance.now() - this.drawn.came;
  }

  // Frames drawn a second, and how long from capture to the screen: the middle and the 95th of a hundred.
  figures() {
    const sorted = [...this.delays].sort((a, b) => a - b);
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    const now = performance.now();
    const lately = this.drawnAt.filter((at) => now - at <= 3000);
    const span = lately.length > 1 ? (lately.at(-1) - lately[0]) / 1000 : 0;
    return { per_s: span > 0 ? (lately.length - 1) / span : 0, p50: at(0.5), p95: at(0.95), count: sorted.length };
  }

  frameOf(id) {
    return this.frames.get(idOf(id));
  }
}

function newer(a, b) {
  return a.run > b.run || (a.run === b.run && a.seq > b.seq);
}
