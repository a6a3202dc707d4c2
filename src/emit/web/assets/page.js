// The page as a whole: what comes over the link goes into one store, and everything on the page is drawn from it.

import { by, el, svg, text, data, refill, kept } from "./dom.js";
import * as words from "./words.js";
import { t, number, fingerName } from "./words.js";
import { Link } from "./link.js";
import { Picture, OLD_MS, idOf } from "./picture.js";
import { draw, scaleBar, CLASSES } from "./overlay.js";
import { hands } from "./hands.js";
import { densityWords, reading, resultOf, summary } from "./reading.js";
import { Conduct, KEYS, ask, listen } from "./conduct.js";
import { Setup } from "./setup.js";
import { Health } from "./health.js";
import { Archive } from "./archive.js";

await words.load();

const store = {
  state: null, exam: null, welcome: null, holder: null, quality: null, held: null,
  focus: null, leftClosed: null, wide: false, view: "exam", violations: 0,
  language: words.chosen(), operator: kept.get("operator", ""), blind: kept.get("blind", true), keys: kept.get("keys", true),
  setOperator(name) { this.operator = name; kept.set("operator", name); },
  setBlind(on) { this.blind = on; kept.set("blind", on); },
};

// The token comes behind the #, which no server and no log ever sees; then it is taken out of the address.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("hairpin.token", given);
    history.replaceState(null, "", location.pathname);
  }
  return given ?? sessionStorage.getItem("hairpin.token");
}

const link = new Link(takeToken());
const picture = new Picture(by("live"), link);
const conduct = new Conduct(link, store, (said) => text(by("told"), said));
const setup = new Setup(store, conduct);
const health = new Health(store, picture);
const archive = new Archive(link, conduct);

document.addEventListener("securitypolicyviolation", () => {
  store.violations += 1;
  document.documentElement.dataset.violations = String(store.violations);
});

const hidden = (finger) => store.blind && store.exam !== null && !store.state?.own_calls?.[finger];
// The finger that the reading is about: chosen, or at hand, or the last that was decided.
const subjectFinger = () => store.focus ?? store.state?.finger ?? store.state?.fingers?.at(-1)?.finger ?? null;

function stage() {
  if (!store.state) return "away";
  if (store.exam) return "open";
  const { closed } = store.state;
  return closed && store.leftClosed !== closed.exam ? "closed" : "idle";
}

// What comes.

link.addEventListener("welcome", ({ detail }) => { store.welcome = detail; store.holder = detail.holder; render(); });
link.addEventListener("control", ({ detail }) => {
  const had = conduct.mine();
  store.holder = detail;
  if (had && detail && !conduct.mine()) text(by("told"), t("control.lost", { name: detail.name, from: detail.from }));
  render();
});
link.addEventListener("cut", () => { store.welcome = null; store.holder = null; render(); });
link.addEventListener("refused", ({ detail }) => {
  if (detail.code === "not_allowed" && !store.welcome) return wrongToken();
  text(by("told"), t(`refused.${detail.code}`, { message: detail.message }));
});
link.addEventListener("line", ({ detail: line }) => {
  switch (line.event) {
    case "state": return present(line);
    case "quality": store.quality = line; return drawAdvice();
    case "measured": return hold(line);
    case "finding": return health.finding(line);
  }
});

function present(line) {
  const before = store.state?.finger;
  store.state = line;
  store.exam = line.exam ?? null;
  store.quality = line.quality ?? store.quality;
  if (line.finger !== before) store.focus = null;
  render();
}

async function wrongToken() {
  const field = el("input", { type: "password", id: "token", autocomplete: "off", maxlength: 256 });
  const body = [el("p", {}, t(link.token ? "token.wrong" : "token.needed")), el("div", { class: "row" }, el("label", { for: "token" }, t("token.label")), field)];
  const token = await ask(t("token.title"), body, [{ words: t("token.use"), value: () => field.value.trim(), primary: true }]);
  if (token) sessionStorage.setItem("hairpin.token", token);
  link.useToken(token || link.token);
}

// A measured frame is shown with what was measured on it, in a place of its own: the live picture has gone on.
async function hold(line) {
  const frame = picture.frameOf(line.frame);
  if (!frame) return;
  const bitmap = await picture.decode(frame).catch(() => null);
  if (!bitmap) return;
  store.held?.bitmap.close();
  store.held = { line, bitmap, frame };
  drawHeld();
}

// What is shown.

function drawHeld() {
  const { held } = store;
  const veiled = held && hidden(held.line.finger ?? subjectFinger());
  const canvas = by("held");
  if (!held) {
    canvas.hidden = true;
    return text(by("held-said"), t("held.none"));
  }
  canvas.hidden = Boolean(veiled);
  canvas.width = held.bitmap.width;
  canvas.height = held.bitmap.height;
  const context = canvas.getContext("2d");
  context.drawImage(held.bitmap, 0, 0);
  // Lines keep their width on the screen, however small the frame is shown.
  draw(context, held.line, (0.7 * held.bitmap.width) / Math.max(200, canvas.clientWidth));
  sayHeld(veiled);
}

function sayHeld(veiled) {
  const { line, frame } = store.held;
  const age = link.since(frame.at_us) ?? performance.now() - frame.came;
  const ago = number(Math.max(0, age) / 1000, 1);
  const said = veiled ? t("held.hidden") : `${t("held.said", { frame: idOf(line.frame), ago })} ${densityWords(line)}`;
  text(by("held-said"), said);
  by("held").setAttribute("aria-label", said);
}

const GLYPHS = { good: "✓", act: "▲", bad: "✕", none: "…" };

function drawAdvice() {
  const [kind, said] = adviceNow();
  data(by("advice"), "state", kind);
  text(by("advice-glyph"), GLYPHS[kind]);
  text(by("advice-text"), said);
}

// The one thing to do now, and how pressing it is.
function adviceNow() {
  const { quality, state } = store;
  const refused = quality?.rejected;
  if (pictureState() !== "live") {
    if (refused === "frozen") return ["bad", t("advice.frozen")];
    const lost = (state?.faults ?? []).some((fault) => fault.kind === "source");
    return lost ? ["bad", t("advice.gone")] : ["none", t("advice.waiting")];
  }
  if (!quality) return ["none", t("advice.waiting")];
  if (refused) return [refused === "frozen" ? "bad" : "act", t(`advice.${refused}`)];
  return ["good", t(state?.finger ? "advice.readable_recording" : "advice.readable")];
}

function pictureState() {
  const age = picture.age();
  if (age === null) return "none";
  return age > OLD_MS ? "old" : "live";
}

// Twice a second, and at each drawn frame: whether what is seen is the present.
function drawPicture() {
  const now = pictureState();
  data(by("stage"), "state", now);
  let veil = "";
  if (picture.unshowable) veil = t("picture.format", { format: picture.unshowable });
  else if (!link.open) veil = t("link.cut");
  else if (now === "none") veil = t("picture.none");
  else if (now === "old") veil = t("picture.old", { seconds: number(Math.round(picture.age() / 500) / 2, 1) });
  text(by("veil"), veil);
  const { state } = store;
  text(by("tag"), state?.finger ? `${state.finger} · ${fingerName(state.finger)}` : "");
  by("live").setAttribute("aria-label", t("picture.label", { finger: state?.finger ? fingerName(state.finger) : t("state.no_finger") }));
  drawScale();
}

function drawScale() {
  const scale = store.state?.source?.scale;
  const { canvas } = picture;
  by("scale").hidden = !scale || !picture.drawn;
  if (by("scale").hidden) return;
  const { length_um, share } = scaleBar(scale.um_per_px, canvas.width);
  // The picture fills the stage in one direction and is in its middle in the other.
  const { clientWidth: wide, clientHeight: high } = by("stage");
  const zoom = Math.min(wide / canvas.width, high / canvas.height);
  by("scale").style.left = `${(wide - zoom * canvas.width) / 2 + 14}px`;
  by("scale").style.bottom = `${(high - zoom * canvas.height) / 2 + 12}px`;
  by("scale-bar").style.width = `${share * zoom * canvas.width}px`;
  text(by("scale-text"), `${length_um} µm`);
}

function drawFaults() {
  const { state } = store;
  const faults = (state?.faults ?? []).map((fault) => {
    const kind = t(`fault.${fault.kind}`);
    const toDo = `fault.${fault.kind}_do`;
    // The service words its faults in English; what to do about those of one meaning is said in the page's language.
    return words.known(toDo) ? { kind, said: t(toDo), detail: fault.message, mild: true } : { kind, detail: fault.message, action: fault.action };
  });
  const { source } = state ?? {};
  if (source && !source.scale) {
    const expired = source.scale_expired;
    faults.push(expired ? { kind: t("fault.scale_expired"), said: t("fault.scale_expired_said", { when: words.date(expired) }), mild: true } : { kind: t("fault.scale"), said: t("fault.scale_said"), mild: true });
  }
  const english = (fault) => [fault.said ? el("small", {}, fault.detail) : fault.detail, " ", fault.action ? el("small", {}, fault.action) : ""];
  refill(by("faults"), JSON.stringify([store.language, faults]), () => faults.map((fault) => el("div", { class: fault.mild ? "fault mild" : "fault" }, el("b", {}, `⚠ ${fault.kind}`), el("span", {}, fault.said ?? "", " ", fault.detail ? el("span", { lang: "en" }, english(fault)) : ""))));
}

function drawNow() {
  const { state } = store;
  const at = stage();
  if (at === "closed") {
    text(by("big"), t("closed.title"));
    text(by("sub"), state.closed.exam);
  } else if (at === "away") {
    text(by("big"), t("link.cut"));
    text(by("sub"), "");
  } else if (state.finger) {
    text(by("big"), fingerName(state.finger));
    text(by("sub"), state.field ? t("now.field", { field: state.field, frames: number(state.pooled_frames) }) : t("now.settling"));
  } else {
    text(by("big"), t("now.no_finger"));
    text(by("sub"), t("now.choose"));
  }
  const button = (key, word, act, extra = {}) => el("button", { type: "button", ...extra, on: { click: (event) => { event.currentTarget.blur(); act(); } } }, el("span", {}, t(word)), key && store.keys ? el("kbd", { "aria-hidden": "true" }, key) : null);
  refill(by("actions"), JSON.stringify([store.language, at, Boolean(state?.finger), store.keys, store.welcome?.may_command, state?.closed?.exam]), () => {
    if (at === "away") return [];
    if (at === "closed") {
      return [button(null, "do.new_exam", newExam, { class: "primary", id: "new-exam" }), button(null, "do.look_back", () => openArchive(state.closed.exam))];
    }
    return [
      button("␣", "do.field", acts["do.field"], { class: state.finger ? "primary" : null, disabled: !state.finger, id: "do-field" }),
      button("N", "do.finger", acts["do.finger"], { class: state.finger ? null : "primary", id: "do-finger" }),
      button("S", "do.skip", acts["do.skip"], { id: "do-skip" }), button("C", "do.close", acts["do.close"], { id: "do-close" }),
    ];
  });
}

function drawOwn() {
  const finger = subjectFinger();
  const own = finger ? store.state?.own_calls?.[finger] : undefined;
  const seen = finger && ((store.state?.fields ?? []).some((field) => field.finger === finger) || (store.state?.finger === finger && store.state?.field));
  const wanted = Boolean(store.blind && seen && !own && resultOf(store.state, finger));
  by("own").classList.toggle("wanted", wanted);
  refill(by("calls"), JSON.stringify([store.language, finger, own?.call, Boolean(seen), store.keys]), () => [["category_1", "1"], ["category_2", "2"], ["not_classifiable", "0"]].map(([call, key]) =>
    el("button", { type: "button", id: `call-${call}`, disabled: !seen, "aria-pressed": String(own?.call === call), on: { click: (event) => { event.currentTarget.blur(); conduct.call(finger, call); } } }, el("span", {}, t(`call.${call}`)), store.keys ? el("kbd", { "aria-hidden": "true" }, key) : null)));
  const said = !finger ? t("own.no_finger") : own ? t("own.said", { finger: fingerName(finger), call: words.label(own.call), by: words.who(own.by) }) : t(seen ? "own.ask" : "own.not_yet", { finger: fingerName(finger) });
  refill(by("own-said"), said + store.language + (own?.comment ?? ""), () => [said, own?.comment ? ` “${own.comment}” ` : " ", own ? el("button", { type: "button", class: "plain", on: { click: () => conduct.comment(finger) } }, t("do.comment")) : null]);
}

function drawReading() {
  const { state } = store;
  const at = stage();
  if (at === "closed") return refill(by("reading-body"), `${state.closed.exam}${store.language}`, () => summary(state.closed));
  const finger = subjectFinger();
  const veiled = finger ? hidden(finger) : false;
  const about = [store.language, at, finger, veiled, state?.finger, state?.pooled_frames, veiled ? null : state?.pooling, resultOf(state ?? {}, finger), (state?.fields ?? []).length];
  refill(by("reading-body"), JSON.stringify(about), () => (state ? reading(state, finger, veiled) : []));
}

function drawHands() {
  const { state } = store;
  const at = stage();
  if (!state || at === "idle" || at === "away") return;
  const shown = at === "closed" ? { fingers: state.closed.fingers, skipped: state.closed.skipped, own_calls: {}, fields: [] } : state;
  const at_hand = document.activeElement?.dataset?.finger;
  const about = [store.language, at, store.blind, shown.finger, shown.field, shown.fingers, shown.skipped, shown.fields?.map((f) => [f.finger, f.verdict]), Object.keys(shown.own_calls ?? {})];
  const made = refill(by("hands"), JSON.stringify(about), () => [hands(shown, (finger) => at !== "closed" && hidden(finger), chooseFinger)]);
  if (made && at_hand) document.querySelector(`.finger[data-finger="${at_hand}"]`)?.focus();
}

// A finger of the drawing: one that was recorded is looked at; any other is begun.
async function chooseFinger(finger) {
  const { state } = store;
  if (stage() !== "open") return;
  const recorded = (state.fields ?? []).some((field) => field.finger === finger);
  if (finger === state.finger) store.focus = null;
  else if (!recorded) return void (await conduct.finger(finger));
  else {
    store.focus = finger;
    const again = await ask(fingerName(finger), el("p", {}, t("again.ask")), [{ words: t("again.look"), value: false }, { words: t("again.record"), value: true, primary: true }]);
    if (again) return void (await conduct.finger(finger));
  }
  render();
}

function drawBar() {
  const { state, holder, exam } = store;
  text(by("subject"), exam && state?.subject ? t("bar.subject", { subject: state.subject }) : "");
  const own = conduct.mine();
  text(by("holder"), !store.welcome ? t("link.cut_short") : !store.welcome.may_command ? t("control.viewing") : own ? t("control.you", { name: holder.name }) : holder ? t("control.by", { name: holder.name }) : t("control.nobody"));
  by("holder").setAttribute("aria-pressed", String(own));
  by("tab-archive").hidden = store.welcome?.exams === false;
  by("tab-exam").setAttribute("aria-pressed", String(store.view === "exam"));
  by("tab-archive").setAttribute("aria-pressed", String(store.view === "archive"));
  const { model } = state ?? {};
  const { scale } = state?.source ?? {};
  refill(by("notice"), JSON.stringify([store.language, model, scale]), () => [
    model ? el("span", {}, t("notice.model", { name: model.name, version: model.version, cohort: model.cohort })) : null,
    model?.validated_on_patients ? null : el("strong", {}, t("notice.not_validated")), el("span", {}, t("notice.use")),
    scale ? el("span", {}, t("notice.scale", { scale: number(scale.um_per_px, 2) }), scale.until ? t("set.scale_until", { when: words.date(scale.until) }) : "") : null,
  ]);
}

function drawLegend() {
  refill(by("legend"), store.language, () => Object.entries(CLASSES).map(([kind, style]) => el("li", {}, svg("svg", { viewBox: "0 0 32 16", "aria-hidden": "true" }, svg("path", { d: "M3 8H29", stroke: style.colour, "stroke-width": style.width, "stroke-dasharray": style.dash.map((d) => d / 2).join(" "), "stroke-linecap": "round" })), t(`class.${kind}`))));
}

function render() {
  data(document.body, "stage", stage());
  data(document.body, "view", store.view);
  drawBar();
  drawFaults();
  drawPicture();
  drawAdvice();
  if (stage() === "idle") setup.draw();
  drawNow();
  drawHands();
  drawOwn();
  drawReading();
  drawLegend();
  drawHeld();
  health.draw();
}

// What is done.

function newExam() {
  store.leftClosed = store.state.closed?.exam ?? null;
  store.held?.bitmap.close();
  store.held = null;
  render();
  by("pseudonym")?.focus();
}

function openArchive(exam) {
  store.view = "archive";
  render();
  return exam ? archive.exam(exam) : archive.list();
}

const acts = {
  "do.field": () => stage() === "open" && conduct.field(),
  "do.finger": () => stage() === "open" && conduct.finger(),
  "do.skip": () => stage() === "open" && conduct.skip(),
  "do.close": () => stage() === "open" && conduct.close(),
  "do.comment": () => stage() === "open" && conduct.comment(subjectFinger()),
  "do.measured": () => { store.wide = !store.wide; by("held-card").classList.toggle("large", store.wide); drawHeld(); },
  "do.health": () => health.toggle(),
  "control.take": () => conduct.control(),
  "call.category_1": () => stage() === "open" && conduct.call(subjectFinger(), "category_1"),
  "call.category_2": () => stage() === "open" && conduct.call(subjectFinger(), "category_2"),
  "call.not_classifiable": () => stage() === "open" && conduct.call(subjectFinger(), "not_classifiable"),
};
listen(store, (word) => { if (store.view === "exam" || word === "do.health") acts[word](); });

by("pulse").addEventListener("click", () => health.toggle());
by("holder").addEventListener("click", () => (conduct.mine() ? link.say({ do: "leave" }) : conduct.control()));
by("tab-exam").addEventListener("click", () => { store.view = "exam"; render(); });
by("tab-archive").addEventListener("click", () => openArchive());
by("language").value = store.language;
by("language").addEventListener("change", (event) => { words.choose(event.target.value); store.language = words.chosen(); drawTheme(); render(); });
by("help-open").addEventListener("click", () => {
  const keys = el("input", { type: "checkbox", id: "keys", checked: store.keys });
  const body = [el("div", { class: "keys" }, KEYS.flatMap(([, key, word]) => [el("kbd", {}, key), el("span", {}, t(word))])), el("label", { class: "tick" }, keys, el("span", {}, t("help.keys")))];
  ask(t("help.title"), body, [{ words: t("do.hide"), value: () => { store.keys = keys.checked; kept.set("keys", keys.checked); render(); }, primary: true }]);
});

function drawTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = kept.get("theme", dark ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
  text(by("theme"), t(theme === "dark" ? "theme.light" : "theme.dark"));
}
by("theme").addEventListener("click", () => { kept.set("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark"); drawTheme(); });

words.choose(store.language);
drawTheme();
picture.addEventListener("drawn", drawPicture);
setInterval(() => { drawPicture(); drawAdvice(); if (store.held) sayHeld(hidden(store.held.line.finger ?? subjectFinger())); }, 250);
render();
link.start();
