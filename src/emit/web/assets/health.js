// How the whole is doing: one word in the corner, more on demand, and its course over the last minutes.

import { by, el, svg, refill, text, data } from "./dom.js";
import { t, number } from "./words.js";

const SAMPLE_MS = 2000;
const SAMPLES = 150;
const STAGES = ["waited_ms", "decode_ms", "gate_ms", "preprocess_ms", "infer_ms", "total_ms"];

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

export class Health {
  constructor(store, picture) {
    this.store = store;
    this.picture = picture;
    this.samples = [];
    this.latencies = [];
    setInterval(() => this.sample(), SAMPLE_MS);
  }

  finding(line) {
    if (!line.latency) return;
    this.latencies.push(line.latency);
    this.latencies.splice(0, Math.max(0, this.latencies.length - 100));
  }

  sample() {
    const { rates, frames } = this.store.state ?? {};
    const page = this.picture.figures();
    this.samples.push({ captured: rates?.captured_per_s, drawn: page.per_s, total: rates?.latency_p50_ms, delay: page.p95, lost: frames ? frames.lost_before_capture + frames.dropped : undefined });
    this.samples.splice(0, Math.max(0, this.samples.length - SAMPLES));
    this.draw();
  }

  toggle() {
    const panel = by("health");
    panel.hidden = !panel.hidden;
    by("pulse").setAttribute("aria-expanded", String(!panel.hidden));
    this.draw();
  }

  draw() {
    const { state, welcome } = this.store;
    const pulse = by("pulse");
    const faults = (state?.faults ?? []).length;
    const rate = state?.rates ? t("health.per_s", { rate: number(state.rates.captured_per_s, 1) }) : t("health.quiet");
    text(pulse, welcome ? (faults > 0 ? t("health.faults", { rate, count: faults }) : rate) : t("link.cut_short"));
    data(pulse, "state", !welcome ? "bad" : faults > 0 ? "warn" : state?.rates ? "good" : "none");
    if (!by("health").hidden) this.panel();
  }

  panel() {
    const { state, welcome } = this.store;
    const page = this.picture.figures();
    const panel = by("health");
    data(panel, "p95", page.p95 === undefined ? "" : page.p95.toFixed(1));
    data(panel, "p50", page.p50 === undefined ? "" : page.p50.toFixed(1));
    data(panel, "perS", page.per_s.toFixed(2));
    data(panel, "count", String(page.count));
    refill(panel, `${this.store.language}${performance.now()}`, () => {
      const rows = [];
      const row = (name, value) => rows.push(el("tr", {}, el("th", { scope: "row" }, t(name)), el("td", {}, value)));
      const ms = (value) => (value === undefined ? t("health.unknown") : t("health.ms", { ms: number(value, 1) }));
      row("health.captured", state?.rates ? t("health.per_s", { rate: number(state.rates.captured_per_s, 1) }) : t("health.unknown"));
      row("health.read", state?.rates ? t("health.per_s", { rate: number(state.rates.read_per_s, 1) }) : t("health.unknown"));
      row("health.drawn", t("health.per_s", { rate: number(page.per_s, 1) }));
      row("health.delay", page.p95 === undefined ? t("health.unknown") : t("health.p50_p95", { p50: number(page.p50), p95: number(page.p95) }));
      for (const stage of STAGES) row(`health.${stage}`, ms(this.latencies.length > 0 ? middle(this.latencies.map((one) => one[stage])) : undefined));
      if (state) {
        const { frames } = state;
        const sum = (map) => Object.values(map).reduce((a, b) => a + b, 0);
        row("health.frames", t("health.frames_value", { produced: number(frames.produced), read: number(frames.scored), refused: number(sum(frames.rejected)) }));
        row("health.losses", t("health.losses_value", { dropped: number(frames.dropped), lost: number(frames.lost_before_capture), broken: number(sum(frames.undecodable) + frames.failed) }));
        row("health.provider", `${state.provider_running}${welcome?.providers_asked?.length ? ` (${t("health.asked", { asked: welcome.providers_asked.join(", ") })})` : ""}`);
      }
      return [
        el("h2", {}, el("span", {}, t("health.title")), el("button", { type: "button", class: "plain", on: { click: () => this.toggle() } }, t("do.hide"))),
        this.chart("health.chart_rate", "captured", "drawn", ["health.captured", "health.drawn"], 1),
        this.chart("health.chart_delay", "total", "delay", ["health.total_ms", "health.delay"], 0),
        el("table", {}, el("tbody", {}, rows)),
      ];
    });
  }

  chart(title, first, second, names, digits) {
    const values = this.samples.flatMap((one) => [one[first], one[second]]).filter((value) => value !== undefined);
    const most = Math.max(1, ...values) * 1.1;
    const path = (key) => {
      let line = "", pen = "M";
      this.samples.forEach((one, i) => {
        if (one[key] === undefined) return (pen = "M");
        line += `${pen}${((i + SAMPLES - this.samples.length) / (SAMPLES - 1)) * 300} ${60 - (one[key] / most) * 58} `;
        pen = "L";
      });
      return line;
    };
    const last = (key) => { const value = this.samples.at(-1)?.[key]; return value === undefined ? "–" : number(value, digits); };
    return el("figure", { class: "chart" },
      el("figcaption", {}, el("span", {}, t(title)), el("span", {}, `${t(names[0])} ${last(first)} ─   ${t(names[1])} ${last(second)} ┄`)),
      svg("svg", { viewBox: "0 0 300 60", preserveAspectRatio: "none", role: "img", "aria-label": `${t(title)}: ${t(names[0])} ${last(first)}, ${t(names[1])} ${last(second)}` },
        svg("path", { d: path(first) }), svg("path", { class: "second", d: path(second) })));
  }
}
