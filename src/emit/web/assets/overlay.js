// What was measured, drawn over the very frame on which it was measured. There is no way here to draw it over another.

import { t, number } from "./words.js";

// Each class has its colour, its width and its own line: nobody needs the colour.
export const CLASSES = {
  normal: { colour: "#56b4e9", width: 3, dash: [] },
  ectatic: { colour: "#f0e442", width: 5, dash: [] },
  giant: { colour: "#ffffff", width: 8, dash: [] },
  abnormal: { colour: "#e69f00", width: 5, dash: [12, 7] },
  not_evaluable: { colour: "#cccccc", width: 3, dash: [3, 7] },
};

export function draw(context, measured, scale = 1) {
  context.save();
  context.lineCap = "round";
  context.lineJoin = "round";
  line(context, measured.row ?? [], { colour: "#ffffff", width: 2, dash: [2, 8] }, scale);
  for (const loop of measured.loops ?? []) {
    const style = CLASSES[loop.class] ?? CLASSES.not_evaluable;
    context.globalAlpha = loop.counted ? 1 : 0.45;
    const path = loop.centreline?.length > 1 ? loop.centreline : [loop.apex, loop.apex];
    line(context, path, style, scale);
    dot(context, loop.apex, style, scale);
    if (loop.class === "giant" || loop.class === "abnormal") say(context, loop, scale);
  }
  context.globalAlpha = 1;
  for (const spot of measured.haemorrhages ?? []) {
    context.setLineDash([]);
    context.strokeStyle = "#cc79a7";
    context.lineWidth = 3 * scale;
    context.beginPath();
    context.rect(spot.at[0] - spot.radius_px, spot.at[1] - spot.radius_px, spot.radius_px * 2, spot.radius_px * 2);
    context.stroke();
  }
  context.restore();
}

function line(context, points, { colour, width, dash }, scale) {
  if (points.length === 0) return;
  const trace = () => {
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points.slice(1)) context.lineTo(...point);
    context.stroke();
  };
  context.setLineDash([]);
  context.strokeStyle = "rgb(0 0 0 / .65)";
  context.lineWidth = (width + 3) * scale;
  trace();
  context.setLineDash(dash.map((part) => part * scale));
  context.strokeStyle = colour;
  context.lineWidth = width * scale;
  trace();
}

function dot(context, [x, y], { colour, width }, scale) {
  context.setLineDash([]);
  context.beginPath();
  context.arc(x, y, (width + 3) * scale, 0, Math.PI * 2);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1.5 * scale;
  context.strokeStyle = "#000";
  context.stroke();
}

function say(context, { apex: [x, y], toward, apical_um, class: kind }, scale) {
  const mark = t(`mark.${kind}`);
  const words = apical_um === undefined ? mark : `${mark} ${number(apical_um)} µm`;
  const size = 15 * scale;
  context.font = `700 ${size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const [dx, dy] = toward ?? [0, -1];
  const at = [x + dx * size * 1.3, y + dy * size * 1.3];
  const wide = context.measureText(words).width + size * 0.6;
  context.fillStyle = "rgb(0 0 0 / .78)";
  context.fillRect(at[0] - wide / 2, at[1] - size * 0.65, wide, size * 1.3);
  context.fillStyle = "#fff";
  context.fillText(words, at[0], at[1]);
}

// A bar of a round length that fills about a fifth of the picture.
export function scaleBar(um_per_px, width) {
  const wanted = (um_per_px * width) / 5;
  const lengths = [10, 20, 50, 100, 200, 500, 1000];
  const length = lengths.reduce((best, one) => (Math.abs(one - wanted) < Math.abs(best - wanted) ? one : best));
  return { length_um: length, share: length / um_per_px / width };
}
