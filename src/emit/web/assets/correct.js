// A reader corrects the loops of a kept frame: by mouse and touch on the picture, by keyboard with a cross that moves
// over it. Each correction goes as an amendment; what was measured stays as it was, and stands beside it.

import { by, el, refill, text } from "./dom.js";
import { t, number, fingerName } from "./words.js";
import { CLASSES, draw } from "./overlay.js";
import { densityWords, ruleWords } from "./reading.js";

// A place this far from a tip means its loop; the service says the same.
const NEAR_UM = 50;
const STEP_UM = 10;
const FAR_UM = 100;
const DEFAULT_CLASS = "normal";

export class Corrections {
  constructor(archive, conduct, exam, subject, finger, field) {
    Object.assign(this, { archive, conduct, exam, subject, finger, field, at: null });
  }

  get path() {
    return `/exams/${encodeURIComponent(this.exam)}/loops/${this.finger}/${this.field}`;
  }

  // The parts of the view, once frame and loops have come.
  async parts() {
    const [loops, picture] = await Promise.all([this.fetch(this.path).then((answer) => answer.json()), this.fetch(`${this.path}/picture`).then((answer) => answer.blob())]);
    this.loops = loops;
    this.bitmap = await createImageBitmap(picture);
    this.um = loops.measured.um_per_px;
    this.at = this.counted()[0]?.apex.map(Math.round) ?? [Math.round(this.bitmap.width / 2), Math.round(this.bitmap.height / 2)];
    this.canvas = el("canvas", {
      id: "correct-picture", width: this.bitmap.width, height: this.bitmap.height, tabindex: 0, role: "application", "aria-label": t("correct.picture", { finger: fingerName(this.finger), field: this.field }), "aria-describedby": "correct-keys correct-at",
      on: { pointerdown: (event) => this.pointed(event), keydown: (event) => this.pressed(event) },
    });
    const button = (id, act, extra = {}) => el("button", { type: "button", id: `correct-${id}`, ...extra, on: { click: act } }, t(`correct.${id}`));
    const choice = el("select", { id: "correct-class" }, Object.keys(CLASSES).map((kind) => el("option", { value: kind, selected: kind === DEFAULT_CLASS }, t(`class.${kind}`))));
    const width = el("input", { type: "number", id: "correct-width", min: 1, max: 400, step: "any", inputmode: "decimal", "aria-describedby": "correct-width-hint" });
    setTimeout(() => { if (this.canvas.isConnected) this.go(this.at, true); this.canvas.focus({ preventScroll: true }); });
    return [
      this.archive.back(() => this.archive.exam(this.exam), t("correct.back")),
      el("h1", {}, t("correct.title", { subject: this.subject ?? this.exam, finger: fingerName(this.finger), field: this.field })),
      el("p", { class: "sub", id: "correct-keys" }, t("correct.keys")),
      el("div", { class: "correct" },
        el("div", {}, el("p", { id: "correct-at", role: "status", "aria-live": "polite" }), this.canvas),
        el("div", { class: "col" },
          el("form", { class: "card", id: "correct-form", on: { submit: (event) => event.preventDefault() } },
            el("div", { class: "row" }, el("label", { for: "correct-class" }, t("correct.class")), choice),
            el("div", { class: "row" }, el("label", { for: "correct-width" }, t("correct.width")), width, el("span", { class: "sub", id: "correct-width-hint" }, t("correct.width_hint"))),
            el("div", { class: "inline" }, button("add", () => this.add()), button("change", () => this.change()), button("remove", () => this.remove())),
            el("div", { class: "inline" }, button("previous", () => this.step(-1)), button("next", () => this.step(1))),
            el("p", { class: "told", id: "correct-told", role: "alert" }),
            this.conduct.link.welcome?.may_command ? null : el("p", { class: "sub" }, t("control.view_only"))),
          el("section", { class: "card", "aria-labelledby": "correct-comes" }, el("h2", { id: "correct-comes" }, t("correct.comes")), el("div", { id: "correct-figures" })),
          el("section", { class: "card", "aria-labelledby": "correct-loops-title" }, el("h2", { id: "correct-loops-title" }, t("correct.loops")), el("ol", { id: "correct-loops", class: "loops" })))),
    ];
  }

  fetch(path) {
    return this.conduct.link.fetch(path);
  }

  // Counted loops, along the row.
  counted() {
    return this.loops.corrected.loops.filter((loop) => loop.counted).sort((a, b) => a.apex[0] - b.apex[0]);
  }

  // The nearest counted loop at the cross; null where none is meant.
  here() {
    const far = (loop) => Math.hypot(loop.apex[0] - this.at[0], loop.apex[1] - this.at[1]) * this.um;
    return this.counted().filter((loop) => far(loop) <= NEAR_UM).sort((a, b) => far(a) - far(b))[0] ?? null;
  }

  // On a loop the cross goes to its tip.
  go(at, snap) {
    this.at = [Math.min(this.bitmap.width - 1, Math.max(0, Math.round(at[0]))), Math.min(this.bitmap.height - 1, Math.max(0, Math.round(at[1])))];
    const loop = snap ? this.here() : null;
    if (loop) this.at = loop.apex.map(Math.round);
    const found = this.here();
    if (found) {
      by("correct-class").value = found.class;
      by("correct-width").value = found.apical_um === undefined ? "" : String(tenths(found));
    }
    text(by("correct-told"), "");
    this.draw();
  }

  step(by_) {
    const loops = this.counted();
    if (loops.length === 0) return;
    const now = loops.indexOf(this.here());
    const next = now >= 0 ? now + by_ : by_ > 0 ? loops.findIndex((loop) => loop.apex[0] > this.at[0]) : loops.findLastIndex((loop) => loop.apex[0] < this.at[0]);
    this.go(loops[(next + loops.length) % loops.length].apex, true);
  }

  pointed(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    this.go([((event.clientX - left) / width) * this.bitmap.width, ((event.clientY - top) / height) * this.bitmap.height], true);
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = Math.max(1, Math.round((event.shiftKey ? FAR_UM : STEP_UM) / this.um));
    const [x, y] = this.at;
    const act = {
      ArrowLeft: () => this.go([x - step, y]), ArrowRight: () => this.go([x + step, y]), ArrowUp: () => this.go([x, y - step]), ArrowDown: () => this.go([x, y + step]),
      PageUp: () => this.step(-1), PageDown: () => this.step(1), Insert: () => this.add(), "+": () => this.add(), Enter: () => this.change(), Delete: () => this.remove(), "-": () => this.remove(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  add() {
    return this.correct({ correction: "added", apex: this.at, ...this.chosen() });
  }

  change() {
    return this.correct({ correction: "reclassified", apex: this.at, ...this.chosen() });
  }

  remove() {
    return this.correct({ correction: "removed", apex: this.at });
  }

  chosen() {
    const um = by("correct-width").value.trim();
    return { class: by("correct-class").value, ...(um === "" ? {} : { apical_um: Number(um) }) };
  }

  async correct(correction) {
    if (this.busy) return;
    this.busy = true;
    try {
      const { exam, finger, field, loops } = this;
      const refused = await this.conduct.correct({ exam, finger, field, frame: loops.frame, correction });
      if (!refused) this.loops = await (await this.fetch(this.path)).json();
      text(by("correct-told"), refused ?? t("correct.done"));
      this.draw();
    } catch (error) {
      text(by("correct-told"), t("archive.failed", { why: error.message }));
    } finally {
      this.busy = false;
    }
  }

  draw() {
    if (!this.canvas.isConnected) return;
    const { corrected, measured, corrections } = this.loops;
    const context = this.canvas.getContext("2d");
    const scale = (0.7 * this.bitmap.width) / Math.max(200, this.canvas.clientWidth);
    context.drawImage(this.bitmap, 0, 0);
    draw(context, corrected, scale);
    cross(context, this.at, scale);
    const here = this.here();
    const [x, y] = this.at;
    text(by("correct-at"), here ? t("correct.at_loop", { x, y, loop: loopWords(here) }) : t("correct.at_none", { x, y }));
    by("correct-add").disabled = here !== null;
    by("correct-change").disabled = by("correct-remove").disabled = here === null;
    const figures = (of) => [of.counted === undefined ? t("reading.not_known") : number(of.counted), densityWords(of), of.giants === undefined ? t("reading.not_known") : number(of.giants), ruleWords(of.fast_track, of.borderline)];
    const names = ["reading.counted", "reading.density", "reading.giants", "reading.rule"];
    refill(by("correct-figures"), JSON.stringify([corrected, corrections]), () => {
      const [was, is] = [figures(measured), figures(corrected)];
      return [el("table", {}, el("thead", {}, el("tr", {}, el("td", {}), el("th", { scope: "col" }, t("correct.measured")), el("th", { scope: "col" }, t("correct.corrected", { count: corrections })))),
        el("tbody", {}, names.map((name, i) => el("tr", {}, el("th", { scope: "row" }, t(name)), el("td", {}, was[i]), el("td", {}, is[i])))))];
    });
    refill(by("correct-loops"), JSON.stringify(corrected.loops), () => this.counted().map((loop) => el("li", {}, el("button", { type: "button", class: "plain", on: { click: () => this.go(loop.apex, true) } }, loopWords(loop)))));
  }
}

function loopWords(loop) {
  return loop.apical_um === undefined ? t(`class.${loop.class}`) : `${t(`class.${loop.class}`)}, ${number(loop.apical_um)} µm`;
}

// Rounded so that the width stays one of its class.
function tenths({ class: kind, apical_um }) {
  return (kind === "giant" ? Math.ceil(apical_um * 10) : Math.floor(apical_um * 10)) / 10;
}

// Where the next correction goes: dark and bright, so that it shows on any skin.
function cross(context, [x, y], scale) {
  for (const [colour, width] of [["#000", 8], ["#fff", 4]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * scale;
    context.setLineDash([]);
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * 12 * scale, y + dy * 12 * scale);
      context.lineTo(x + dx * 36 * scale, y + dy * 36 * scale);
    }
    context.stroke();
  }
}
