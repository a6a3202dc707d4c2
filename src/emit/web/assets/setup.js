// Before the first finger: who, how prepared, with what. Nothing here is a default that nobody chose.

import { by, el, kept, refill } from "./dom.js";
import { t, number, date } from "./words.js";

const ACCLIMATISE_MIN = 15;
const CHECKS = ["no_coffee_or_smoking", "no_manicure", "no_raynaud_attack", "vasoactive_drugs_noted", "fingers_looked_at", "hand_at_heart_level", "oil_applied"];

// Why a text is no pseudonym; null where it is one. The service has the last word, by the same rule.
export function notAPseudonym(text) {
  if (text.length === 0 || text.length > 32) return "length";
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return "characters";
  if (!/\d/.test(text)) return "no_digit";
  if (holdsDate(text)) return "date";
  return null;
}

function holdsDate(text) {
  const numbers = text.split(/\D+/).filter(Boolean);
  const year = (s) => s.length === 4 && /^(19|20)/.test(s);
  const part = (s, most) => s.length <= 2 && Number(s) >= 1 && Number(s) <= most;
  const dayMonth = (a, b) => (part(a, 31) && part(b, 12)) || (part(a, 12) && part(b, 31));
  const apart = numbers.some((_, i) => i + 2 < numbers.length && ((year(numbers[i]) && dayMonth(numbers[i + 1], numbers[i + 2])) || (year(numbers[i + 2]) && dayMonth(numbers[i], numbers[i + 1]))));
  const joined = numbers.some((s) => s.length === 8 && ((year(s.slice(0, 4)) && dayMonth(s.slice(4, 6), s.slice(6))) || (year(s.slice(4)) && dayMonth(s.slice(0, 2), s.slice(2, 4)))));
  return apart || joined;
}

export class Setup {
  constructor(store, conduct) {
    this.store = store;
    this.conduct = conduct;
    this.since = kept.get("acclimatising", null);
    setInterval(() => this.tick(), 1000);
  }

  minutes() {
    return this.since === null ? null : (Date.now() - this.since) / 60000;
  }

  draw() {
    const { state, language } = this.store;
    const made = refill(by("setup"), JSON.stringify([language, this.store.welcome?.may_command, state?.source?.name, state?.source?.size, state?.source?.scale, state?.source?.scale_expired, state?.model]), () => this.parts());
    if (made) this.tick();
  }

  parts() {
    const old = Object.fromEntries([...by("setup").querySelectorAll("input")].map((input) => [input.id, input.type === "checkbox" ? input.checked : input.value]));
    const input = (id, type, words, extra = {}) => el("div", { class: "row" }, el("label", { for: id }, words), el("input", { id, type, value: old[id] ?? extra.start ?? "", autocomplete: "off", spellcheck: "false", ...extra.with }));
    const tick = (id, words, start) => el("label", { class: "tick" }, el("input", { type: "checkbox", id, checked: old[id] ?? start }), el("span", {}, words));
    const wrong = el("p", { class: "wrong", id: "subject-wrong", role: "status", "aria-live": "polite" });
    const subject = input("pseudonym", "text", t("set.pseudonym"), { with: { maxlength: 64, "aria-describedby": "subject-hint subject-wrong", autofocus: true } });
    subject.append(el("span", { class: "sub", id: "subject-hint" }, t("set.pseudonym_hint")), wrong);
    subject.querySelector("input").addEventListener("input", (event) => this.judge(event.target, wrong));
    by("setup").onsubmit = (event) => {
      event.preventDefault();
      this.open();
    };
    return [
      el("h1", {}, t("set.title")),
      subject,
      input("operator", "text", t("set.operator"), { start: this.store.operator ?? "", with: { maxlength: 40 } }),
      el("fieldset", {}, el("legend", {}, t("set.acclimatise")),
        el("div", { class: "inline" }, el("span", { class: "timer", id: "timer", role: "timer" }), el("button", { type: "button", id: "timer-button", on: { click: () => this.toggle() } })),
        input("celsius", "number", t("set.celsius"), { with: { min: 0, max: 50, step: 1, inputmode: "numeric" } })),
      el("fieldset", { class: "checks" }, el("legend", {}, t("set.checklist")), CHECKS.map((check) => tick(`check-${check}`, t(`check.${check}`), false))),
      this.equipment(),
      tick("blind", t("set.blind"), this.store.blind),
      el("button", { type: "submit", class: "primary", id: "open", disabled: this.store.welcome?.may_command === false }, t("set.open")),
      this.store.welcome?.may_command === false ? el("p", { class: "sub" }, t("control.view_only")) : null,
    ];
  }

  judge(input, wrong) {
    const why = input.value === "" ? null : notAPseudonym(input.value);
    input.setAttribute("aria-invalid", String(why !== null));
    wrong.textContent = why ? t(`pseudonym.${why}`) : "";
  }

  // Device, scale and model, as the service knows them.
  equipment() {
    const { state } = this.store;
    const source = state?.source;
    const facts = [];
    const fact = (name, value) => facts.push(el("dt", {}, t(name)), el("dd", {}, value));
    if (source) {
      const device = [source.device?.make, source.device?.model].filter(Boolean).join(" ");
      fact("set.device", [device || `${source.name} (${source.kind})`, source.size ? `${source.size.width}×${source.size.height}` : null].filter(Boolean).join(", "));
      if (source.scale) {
        const when = source.scale.when ? t("set.scale_when", { when: date(source.scale.when) }) : "";
        const until = source.scale.until ? t("set.scale_until", { when: date(source.scale.until) }) : "";
        fact("set.scale", `${number(source.scale.um_per_px, 2)} µm/px, ${t(`scale.${source.scale.how}`)}${when}${until}`);
      } else fact("set.scale", el("span", { class: "contradiction" }, source.scale_expired ? t("set.scale_expired", { when: date(source.scale_expired) }) : t("set.no_scale")));
    } else fact("set.device", t("set.no_device"));
    if (state?.model) fact("set.model", `${state.model.name} ${state.model.version}, ${t("set.cohort", { cohort: state.model.cohort })}`);
    return el("fieldset", {}, el("legend", {}, t("set.equipment")), el("dl", { class: "facts" }, facts));
  }

  toggle() {
    this.since = this.since === null ? Date.now() : null;
    kept.set("acclimatising", this.since);
    this.tick();
  }

  tick() {
    const [timer, button] = [by("timer"), by("timer-button")];
    if (!timer) return;
    const minutes = this.minutes();
    const seconds = minutes === null ? 0 : Math.floor(minutes * 60);
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    timer.textContent = minutes === null ? t("set.minutes", { minutes: ACCLIMATISE_MIN }) : minutes >= ACCLIMATISE_MIN ? `${clock} ✓` : `${clock} / ${ACCLIMATISE_MIN}:00`;
    button.textContent = t(minutes === null ? "set.start_timer" : "set.reset_timer");
  }

  async open() {
    const input = by("pseudonym");
    const subject = input.value.trim();
    const why = notAPseudonym(subject);
    if (why) {
      input.setAttribute("aria-invalid", "true");
      by("subject-wrong").textContent = t(`pseudonym.${why}`);
      return input.focus();
    }
    const operator = by("operator").value.trim();
    if (operator) this.store.setOperator(operator);
    this.store.setBlind(by("blind").checked);
    const celsius = by("celsius").value === "" ? undefined : Math.round(Number(by("celsius").value));
    const done = CHECKS.filter((check) => by(`check-${check}`).checked);
    const minutes = this.minutes();
    if (!(await this.conduct.give({ command: "open", subject }))) return;
    const preparation = { done, ...(celsius === undefined ? {} : { room_celsius: celsius }), ...(minutes === null ? {} : { acclimatised_min: Math.floor(minutes) }) };
    await this.conduct.give({ command: "prepare", preparation });
    this.since = null;
    kept.set("acclimatising", null);
    for (const field of by("setup").querySelectorAll("input")) {
      if (field.type === "checkbox") field.checked = field.id === "blind" && this.store.blind;
      else if (field.id !== "operator") field.value = "";
    }
    document.activeElement?.blur();
  }
}
