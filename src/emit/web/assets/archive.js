// Earlier exams: the list, one of them with its kept frames and its lines, and one finger across a subject's visits.

import { by, el } from "./dom.js";
import { chosen, t, date, number, fingerName, label, who } from "./words.js";
import { PROTOCOL } from "./hands.js";
import { callWords, densityWords, summary } from "./reading.js";
import { Corrections } from "./correct.js";

export class Archive {
  constructor(link, conduct) {
    this.link = link;
    this.conduct = conduct;
    this.exams = [];
    this.reports = [];
    this.turn = 0;
  }

  // Each showing has its turn; what comes for an earlier one is let go.
  async show(work) {
    const turn = ++this.turn;
    this.reports.splice(0).forEach((url) => URL.revokeObjectURL(url));
    const parts = await work().catch((error) => [el("p", { class: "contradiction", role: "alert" }, t("archive.failed", { why: error.message }))]);
    if (turn === this.turn) by("archive").replaceChildren(...parts.flat().filter(Boolean));
  }

  list() {
    return this.show(async () => {
      this.exams = await (await this.link.fetch("/exams")).json();
      const found = el("div", { class: "list", id: "exams" });
      const search = el("input", { type: "search", id: "search", autocomplete: "off", on: { input: () => this.filter(found, search.value) } });
      this.filter(found, "");
      return [el("div", { class: "row" }, el("label", { for: "search" }, t("archive.search")), search), found];
    });
  }

  filter(found, wanted) {
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (exam) => words.every((word) => `${exam.exam} ${exam.subject ?? ""} ${exam.opened ?? ""}`.toLowerCase().includes(word));
    const fitting = this.exams.filter(fits).slice(0, 200);
    const entry = (exam) => el("button", { type: "button", class: "exam", on: { click: () => this.exam(exam.exam) } },
      el("b", {}, exam.subject ?? exam.exam), el("span", {}, exam.opened ? date(exam.opened) : t("archive.no_date")),
      el("span", {}, exam.closed ? exam.counts : t("archive.not_closed")));
    found.replaceChildren(...(fitting.length > 0 ? fitting.map(entry) : [el("p", {}, t("archive.nothing"))]));
  }

  read(exam) {
    return this.link.fetch(`/exams/${encodeURIComponent(exam)}`).then((answer) => answer.json());
  }

  exam(name) {
    return this.show(async () => {
      const told = gather(await this.read(name));
      return [
        this.back(() => this.list(), t("archive.back")),
        el("h1", {}, `${told.subject ?? name}`),
        el("p", { class: "sub" }, [name, told.opened ? date(told.opened) : null, told.model ? `${told.model.name} ${told.model.version}` : null].filter(Boolean).join(" · ")),
        told.damaged ? el("p", { class: "contradiction", role: "alert" }, t("archive.damaged", { why: told.damaged })) : el("p", { class: "agree" }, `✓ ${t("archive.whole")}`),
        told.damaged ? null : el("div", {}, el("button", { type: "button", id: "report", on: { click: () => this.report(name) } }, t("archive.report"))),
        told.report ? el("div", { class: "card" }, summary(told.report)) : el("p", {}, t("archive.not_closed")),
        ...PROTOCOL.filter((finger) => told.fingers[finger] || told.own[finger]).map((finger) => this.finger(name, told, finger)),
        el("details", { class: "card" }, el("summary", {}, t("archive.events", { count: told.lines.length + told.amendments.length })), el("ol", { class: "events", tabindex: 0 }, told.lines.map((line) => el("li", {}, eventWords(line))), told.amendments.map((line) => el("li", {}, amendmentWords(line))))),
      ];
    });
  }

  // A file of its own, to be kept, printed and signed.
  async report(name) {
    try {
      const answer = await this.link.fetch(`/exams/${encodeURIComponent(name)}/report/${chosen()}`);
      const url = URL.createObjectURL(await answer.blob());
      this.reports.push(url);
      el("a", { href: url, download: `${name}.html` }).click();
    } catch (error) {
      by("archive").prepend(el("p", { class: "contradiction", role: "alert" }, t("archive.failed", { why: error.message })));
    }
  }

  back(act, words) {
    return el("div", {}, el("button", { type: "button", on: { click: act } }, `← ${words}`));
  }

  finger(name, told, finger) {
    return el("section", { class: "card" },
      el("div", { class: "inline" }, el("h2", {}, fingerName(finger)), told.subject ? el("button", { type: "button", on: { click: () => this.compare(told.subject, finger) } }, t("archive.compare")) : null),
      this.findings(name, told, finger),
      told.report ? el("div", { class: "inline" }, told.reread.fields.filter((one) => one.finger === finger).map((one) => el("button", { type: "button", class: "correct-open", data: { finger, field: String(one.field) }, on: { click: () => this.correct(name, told.subject, finger, one.field) } }, t("correct.open", { field: one.field })))) : null);
  }

  // Loops of a field's kept frame, to be corrected.
  correct(name, subject, finger, field) {
    return this.show(() => new Corrections(this, this.conduct, name, subject, finger, field).parts());
  }

  findings(name, told, finger) {
    const result = told.fingers[finger];
    const own = told.own[finger];
    const fields = told.fields.filter((field) => field.finger === finger);
    return el("div", {},
      result ? el("p", { class: "verdict" }, callWords(result)) : el("p", {}, t("state.empty")),
      own ? el("p", {}, t("own.was", { call: label(own.call), by: who(own.by) }), own.comment ? ` “${own.comment}”` : "") : el("p", { class: "sub" }, t("own.none")),
      fields.map((field) => el("p", { class: "sub" }, `${t("reading.field", { number: field.number })}: ${measuredWords(field.measured)}`)),
      told.reread.fields.filter((one) => one.finger === finger && (one.measured || one.refused)).map((one) => el("p", { class: "corrected" }, one.refused ? t("correct.refused", { field: one.field, why: one.refused }) : `${t("correct.by", { field: one.field, by: one.by, count: one.corrections })}: ${measuredWords(one.measured)}`)),
      told.reread.fingers[finger] ? el("p", { class: "corrected" }, t("correct.finger", { mean: number(told.reread.fingers[finger].density_mean_per_mm, 1), least: number(told.reread.fingers[finger].density_least_per_mm, 1) })) : null,
      this.shots(name, result?.evidence ?? fields.flatMap((field) => field.evidence), finger));
  }

  shots(name, evidence, finger) {
    return el("div", { class: "shots" }, evidence.filter((one) => one.file).map((one) => {
      const image = el("img", { alt: t("archive.shot", { finger: fingerName(finger), frame: `${one.frame.run}.${one.frame.seq}` }), width: 240 });
      const path = one.file.split("/").map(encodeURIComponent).join("/");
      this.link.fetch(`/exams/${encodeURIComponent(name)}/${path}`).then((answer) => answer.blob()).then((blob) => {
        // Let go when it is shown: a picture of an earlier view may still be loading when the next one is asked for.
        const url = URL.createObjectURL(blob);
        image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
        image.src = url;
      }, () => image.replaceWith(el("p", { class: "contradiction" }, t("archive.no_shot"))));
      return el("figure", {}, image, el("figcaption", { class: "sub" }, `${one.frame.run}.${one.frame.seq}`));
    }));
  }

  // The same finger at each visit, oldest first.
  compare(subject, finger) {
    return this.show(async () => {
      if (this.exams.length === 0) this.exams = await (await this.link.fetch("/exams")).json();
      const visits = this.exams.filter((exam) => exam.subject === subject).reverse();
      const told = await Promise.all(visits.map(async (visit) => [visit, gather(await this.read(visit.exam))]));
      const picker = el("select", { id: "compare-finger", on: { change: (event) => this.compare(subject, event.target.value) } }, PROTOCOL.map((one) => el("option", { value: one, selected: one === finger }, fingerName(one))));
      return [
        this.back(() => this.list(), t("archive.back")),
        el("h1", {}, t("archive.visits", { subject })),
        el("div", { class: "inline" }, el("label", { for: "compare-finger" }, t("archive.finger")), picker),
        el("div", { class: "compare" }, told.map(([visit, one]) => el("section", { class: "card" }, el("h2", {}, visit.opened ? date(visit.opened) : visit.exam), one.damaged ? el("p", { class: "contradiction" }, t("archive.damaged", { why: one.damaged })) : null, this.findings(visit.exam, one, finger)))),
      ];
    });
  }
}

// What an exam's lines say, by what it is about.
function gather({ exam, damaged, lines, amendments, reread }) {
  const told = { exam, damaged, lines, amendments, reread: reread ?? { fields: [], fingers: {} }, fingers: {}, own: {}, fields: [], subject: undefined, opened: undefined, model: undefined, report: undefined };
  for (const line of lines) {
    if (line.event === "finger") told.fingers[line.finger] = line;
    else if (line.event === "field") told.fields.push(line);
    else if (line.event === "own_call") told.own[line.finger] = line;
    else if (line.event === "exam" && line.step === "opened") Object.assign(told, { subject: line.subject, opened: line.date, model: line.provenance.model });
    else if (line.event === "exam" && line.step === "closed") told.report = line.report;
  }
  for (const line of amendments) if (line.amendment === "own_call") told.own[line.finger] = line;
  return told;
}

function measuredWords(measured) {
  if (!measured) return t("reading.not_known");
  return `${t("reading.density")} ${densityWords(measured)}, ${t("reading.giants")} ${measured.giants ?? t("reading.not_known")}`;
}

function amendmentWords(line) {
  const what = {
    comment: () => line.text,
    own_call: () => `${line.finger}: ${label(line.call)}`,
    loop: () => `${line.finger} ${line.field}: ${line.correction} ${line.apex.map(Math.round).join(",")} ${line.class ?? ""}`,
    signature: () => "",
  }[line.amendment];
  return `${date(line.date)} · ${line.amendment} · ${what ? what().trim() : ""} (${line.by})`;
}

function eventWords(line) {
  const when = line.date ? date(line.date) : `${(line.at_ms / 1000).toFixed(1)} s`;
  const what = {
    exam: () => `${line.step} ${line.finger ?? line.subject ?? ""} ${line.number ?? ""} ${line.reason ?? ""}`,
    field: () => `${line.finger} ${line.number}: ${line.verdict.is} ${line.verdict.why ?? ""}`,
    finger: () => `${line.finger}: ${callWords(line)}`,
    own_call: () => `${line.finger}: ${label(line.call)} (${line.by})`,
    command: () => `${line.command} ${line.finger ?? ""} (${line.by})${line.refused ? `: ${line.refused}` : ""}`,
    fault: () => `${line.message}`,
    source: () => `${line.change} ${line.source.name}`,
    preparation: () => `${line.acclimatised_min ?? "–"} min, ${line.room_celsius ?? "–"} °C, ${(line.done ?? []).length}/7 (${line.by})`,
  }[line.event];
  return `${when} · ${line.event} · ${what ? what().trim() : ""}`;
}
