// Both hands as a drawing, the way their owner sees them. Each finger says in sign and words how it stands.

import { svg } from "./dom.js";
import { t, fingerName } from "./words.js";

export const PROTOCOL = ["R2", "R3", "R4", "R5", "L2", "L3", "L4", "L5"];

// Of a right hand seen from its back: middle of the base, length and lean of each finger.
const SHAPE = {
  2: { x: 66, y: 124, length: 84, lean: -9 },
  3: { x: 103, y: 116, length: 98, lean: -2 },
  4: { x: 140, y: 119, length: 90, lean: 5 },
  5: { x: 174, y: 132, length: 70, lean: 13 },
};
const WIDTH = 31;
// As far as a touch is taken for one of the finger: neighbours stand 37 apart.
const REACH = 36;
const HAND = 230;

// How a finger stands: its state, the sign on its nail, and the words.
export function standing(finger, state, hidden) {
  const result = (state.fingers ?? []).findLast((one) => one.finger === finger);
  const fields = (state.fields ?? []).filter((field) => field.finger === finger);
  if (state.finger === finger) {
    return { state: "recording", mark: "•", words: t("state.recording", { field: state.field ?? 1 }), fields };
  }
  if (result && hidden) return { state: "hidden", mark: "✓", words: t("state.hidden"), fields };
  if (result?.decision.is === "called") {
    const two = /2/.test(result.decision.label);
    return { state: two ? "two" : "one", mark: two ? "2" : "1", words: t(two ? "call.category_2" : "call.category_1"), fields };
  }
  if (result) {
    const why = t(`abstain.${result.decision.why}`);
    return { state: "unsure", mark: "?", words: t("state.unsure", { why }), fields };
  }
  const reason = state.skipped?.[finger];
  if (reason !== undefined) return { state: "skipped", mark: "–", words: t("state.skipped", { reason }), fields };
  return { state: "empty", mark: "", words: t("state.empty"), fields };
}

// The drawing; `choose` is called with the finger that was clicked, touched or entered.
export function hands(state, hiddenOf, choose) {
  const left = svg("g", { transform: `translate(${HAND} 0) scale(-1 1)` }, palm(), ...fingers("L", state, hiddenOf, choose));
  const right = svg("g", { transform: `translate(${HAND + 40} 0)` }, palm(), ...fingers("R", state, hiddenOf, choose));
  const name = (x, key) => svg("text", { class: "side-name", x, y: 246 }, t(key));
  return svg(
    "svg", { viewBox: `0 0 ${HAND * 2 + 40} 252`, role: "group", "aria-label": t("hands.label") },
    left, right, name(HAND - 118, "hands.left"), name(HAND + 158, "hands.right"),
  );
}

function palm() {
  return svg("path", {
    class: "hand",
    d: "M50 128 C52 118 186 120 190 138 C198 178 190 210 172 226 L78 226 C66 214 60 200 52 186 C40 172 22 158 12 140 C6 126 22 118 30 130 C38 142 46 148 50 150 Z",
  });
}

function fingers(side, state, hiddenOf, choose) {
  return Object.entries(SHAPE).map(([digit, shape]) => {
    const finger = `${side}${digit}`;
    const now = standing(finger, state, hiddenOf(finger));
    const flip = side === "L" ? "scale(-1 1)" : "";
    const { x, y, length, lean } = shape;
    const act = () => choose(finger);
    const upright = (dx, dy) => `translate(${dx} ${dy}) ${flip} rotate(${side === "L" ? lean : -lean})`;
    return svg(
      "g", {
        class: "finger", data: { state: now.state, finger }, transform: `translate(${x} ${y}) rotate(${lean})`, role: "button", tabindex: 0,
        "aria-label": `${now.mark} ${finger}, ${fingerName(finger)}: ${now.words}`.trim(), "aria-current": now.state === "recording" ? "step" : null,
        // A click leaves no focus behind: the next space is for the next field.
        on: { click: (event) => { event.currentTarget.blur(); act(); }, keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); act(); } } },
      },
      svg("title", {}, `${fingerName(finger)}: ${now.words}`),
      svg("rect", { class: "reach", x: -REACH / 2, y: -length - 4, width: REACH, height: length + 20 }),
      svg("rect", { class: "skin", x: -WIDTH / 2, y: -length, width: WIDTH, height: length + 16, rx: WIDTH / 2 }),
      svg("rect", { class: "nail", x: -11, y: -length + 5, width: 22, height: 27, rx: 9 }),
      svg("text", { class: "mark", transform: upright(0, -length + 19), dy: ".35em" }, now.mark),
      svg("text", { class: "name", transform: upright(0, -length + 45), dy: ".35em" }, finger),
      ...now.fields.slice(0, 6).map((field, i) => svg("circle", {
        class: field.verdict.is === "not_classifiable" ? "dot" : "dot sure", cx: (i % 2) * 10 - (now.fields.length > 1 ? 5 : 0), cy: -length + 59 + Math.floor(i / 2) * 10, r: 3.2,
      })),
    );
  });
}
