// The reading of a finger: pooled over its fields, with what supports it. Never the verdict of a single frame.

import { el } from "./dom.js";
import { t, number, label, fingerName } from "./words.js";

export function resultOf(state, finger) {
  return (state.fingers ?? []).findLast((one) => one.finger === finger);
}

const fieldsOf = (state, finger) => (state.fields ?? []).filter((field) => field.finger === finger);
const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];
const used = (frames) => t("reading.frames", { used: number(frames.scored), seen: number(frames.produced) });

// What the card holds for this finger. `hidden`: the reader's own call comes first.
export function reading(state, finger, hidden) {
  if (!finger) return [el("p", { class: "sub" }, t("reading.none"))];
  const result = resultOf(state, finger);
  const parts = [el("p", { class: "sub" }, fingerName(finger))];
  if (hidden) {
    parts.push(el("p", { class: "hidden-call" }, t("reading.hidden")));
    if (state.finger === finger) parts.push(progress(state));
    return parts;
  }
  if (state.finger === finger) parts.push(...soFar(state));
  if (result) parts.push(...decided(result));
  const fields = fieldsOf(state, finger);
  if (fields.length > 0) parts.push(...fields.map(one));
  if (!result && state.finger !== finger && fields.length === 0) parts.push(el("p", {}, t("state.empty")));
  return parts;
}

// How far the field is, without saying where it leads.
function progress(state) {
  const needed = state.limits?.min_frames ?? 0;
  const share = needed > 0 ? Math.min(1, state.pooled_frames / needed) : 0;
  const bar = el("span");
  bar.style.width = `${share * 100}%`;
  return el("div", {},
    el("p", {}, t("reading.pooled", { frames: number(state.pooled_frames), needed: number(needed) })),
    el("div", { class: "meter", "aria-hidden": "true" }, bar));
}

function soFar(state) {
  const parts = [progress(state)];
  const { limits, pooling } = state;
  if (!pooling || !limits) return parts;
  const at = pooling.probs[limits.positive];
  const mark = (share, tag) => {
    const node = el(tag);
    node.style.left = `${share * 100}%`;
    return node;
  };
  const kind = t(limits.calibrated ? "reading.probability" : "reading.score");
  parts.push(
    el("p", {}, t("reading.so_far", { kind, value: number(at, 2) })),
    el("div", { class: "track", role: "img", "aria-label": t("reading.so_far", { kind, value: number(at, 2) }) },
      mark(limits.lower, "i"), mark(limits.upper, "i"), mark(at, "b")),
    el("div", { class: "ends" }, el("span", {}, t("call.category_1.short")), el("span", {}, t("reading.between")), el("span", {}, t("call.category_2.short"))),
  );
  return parts;
}

export function callWords(result) {
  if (result.decision.is !== "called") return t("state.unsure", { why: t(`abstain.${result.decision.why}`) });
  return label(result.decision.label);
}

function decided(result) {
  const { decision, frames, measured } = result;
  const called = decision.is === "called";
  const two = called && /2/.test(decision.label);
  const total = result.fields_positive + result.fields_negative + result.fields_not_classifiable;
  const facts = [];
  if (called) {
    const [kind, value] = Object.entries(decision.confidence)[0];
    facts.push(...fact(t(`reading.${kind}`), number(value, 2)));
  }
  facts.push(...fact(t("reading.support"), t("reading.fields", { two: result.fields_positive, one: result.fields_negative, none: result.fields_not_classifiable, all: total })));
  facts.push(...fact("", used(frames)));
  if (measured) {
    facts.push(...fact(t("reading.density"), t("reading.mean_least", { mean: number(measured.density_mean_per_mm, 1), least: number(measured.density_least_per_mm, 1) })));
    facts.push(...fact(t("reading.giants"), measured.giants === undefined ? t("reading.not_known") : number(measured.giants)));
    if (measured.widest_apical_um !== undefined) facts.push(...fact(t("reading.widest"), `${number(measured.widest_apical_um)} µm`));
  }
  return [
    el("p", { class: "verdict", data: { call: called ? (two ? "two" : "one") : "none" } }, callWords(result)),
    called && !two ? el("p", { class: "sub" }, t("reading.not_normal")) : null,
    el("dl", { class: "facts" }, facts),
  ];
}

function verdictWords(verdict) {
  if (verdict.is === "not_classifiable") return t("state.unsure", { why: t(`doubt.${verdict.why}`) });
  return t(verdict.is === "positive" ? "call.category_2" : "call.category_1");
}

export function ruleWords(rule, borderline) {
  if (!rule || rule.is === "undetermined") return t("rule.undetermined");
  const category = t(rule.category === "two" ? "call.category_2.short" : "call.category_1.short");
  return `${category}: ${t(`rule.${rule.rule}`)}${borderline ? ` (${t("rule.borderline")})` : ""}`;
}

// Whether classifier and rule say the same of a field; null where one of them says nothing.
export function agreement(field) {
  if (field.verdict.is === "not_classifiable") return field.verdict.why === "contradiction" ? false : null;
  if (field.rule?.is !== "decided") return null;
  return (field.verdict.is === "positive") === (field.rule.category === "two");
}

export function intervalWords(density) {
  if (!density) return t("reading.not_known");
  return t("reading.interval", { value: number(density.value, 1), low: number(density.low, 1), high: number(density.high, 1) });
}

// Loops a millimetre; where nothing is known in micrometres how many are in view, and why no more is said.
export function densityWords(measured) {
  if (measured.density_per_mm) return intervalWords(measured.density_per_mm);
  const why = t(`unmeasured.${measured.not_measured ?? "no_row"}`);
  return measured.counted === undefined ? why : `${t("reading.counted_said", { count: number(measured.counted) })}; ${why}`;
}

function one(field) {
  const { measured } = field;
  const facts = [...fact(t("reading.call"), verdictWords(field.verdict))];
  if (measured) {
    if (measured.density_per_mm || measured.counted === undefined) facts.push(...fact(t("reading.density"), intervalWords(measured.density_per_mm)));
    else facts.push(...fact(t("reading.counted"), number(measured.counted)));
    facts.push(...fact(t("reading.giants"), measured.giants === undefined ? t("reading.not_known") : number(measured.giants)));
    if (measured.median_apical_um !== undefined) {
      facts.push(...fact(t("reading.widths"), t("reading.median_widest", { median: number(measured.median_apical_um), widest: number(measured.widest_apical_um ?? measured.median_apical_um) })));
    }
    if (measured.not_measured) facts.push(...fact("", t(`unmeasured.${measured.not_measured}`)));
  }
  facts.push(...fact(t("reading.rule"), ruleWords(field.rule ?? measured?.fast_track, measured?.borderline)));
  const agree = agreement(field);
  if (agree !== null) facts.push(...fact("", el("span", { class: agree ? "agree" : "contradiction" }, `${agree ? "✓" : "⚠"} ${t(agree ? "reading.agree" : "reading.contradiction")}`)));
  facts.push(...fact("", used(field.frames)));
  const title = field.reacquired ? t("reading.field_again", { number: field.number, place: field.place }) : t("reading.field", { number: field.number });
  return el("details", { open: true }, el("summary", {}, title), el("dl", { class: "facts" }, facts));
}

// The exam's end: counts and the fixed wording, as the service wrote them.
export function summary(report) {
  const { summary, skipped } = report;
  const rows = report.fingers.map((result) => el("tr", {}, el("th", { scope: "row" }, fingerName(result.finger)), el("td", {}, callWords(result))));
  rows.push(...Object.entries(skipped).map(([finger, reason]) => el("tr", {}, el("th", { scope: "row" }, fingerName(finger)), el("td", {}, t("state.skipped", { reason })))));
  return [
    el("p", { class: "verdict" }, t("summary.counts", { positive: summary.positive, evaluable: summary.evaluable, unsure: summary.not_classifiable, absent: summary.not_examined })),
    el("table", {}, el("tbody", {}, rows)),
    el("div", { lang: "en" }, summary.wording.map((words) => el("p", {}, words))),
  ];
}
