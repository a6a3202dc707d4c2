// What the operator does: commands by key, button and touch, and the questions that some of them need first.

import { by, el } from "./dom.js";
import { t, fingerName } from "./words.js";
import { PROTOCOL } from "./hands.js";

const REASONS = ["wound", "bandage", "amputation", "infection", "varnish", "refused"];

// The next finger of the protocol that was neither recorded nor skipped.
export function nextFinger(state) {
  const done = new Set([...(state.fields ?? []).map((field) => field.finger), ...(state.fingers ?? []).map((one) => one.finger), ...Object.keys(state.skipped ?? {})]);
  const from = PROTOCOL.indexOf(state.finger) + 1;
  const order = PROTOCOL.map((_, i) => PROTOCOL[(from + i) % PROTOCOL.length]);
  return order.find((finger) => finger !== state.finger && !done.has(finger)) ?? null;
}

// Fingers with a result and without the reader's own call.
export function uncalled(state) {
  return (state.fingers ?? []).map((one) => one.finger).filter((finger) => !state.own_calls?.[finger]);
}

export function ask(title, body, answers) {
  const dialog = by("dialog");
  return new Promise((resolve) => {
    const finish = (value) => {
      dialog.onclose = null;
      if (dialog.open) dialog.close();
      resolve(value);
    };
    const writes = [body].flat().some((part) => part.querySelector("input, textarea"));
    const buttons = answers.map(({ words, value, primary }) => el("button", { type: primary ? "submit" : "button", class: primary ? "primary" : null, autofocus: primary && !writes, on: primary ? {} : { click: () => finish(value) } }, words));
    const main = answers.find((answer) => answer.primary);
    const form = el("form", { novalidate: true, on: { submit: (event) => { event.preventDefault(); finish(typeof main.value === "function" ? main.value() : main.value); } } },
      el("h2", { id: "dialog-title" }, title), body, el("div", { class: "answers" }, buttons));
    dialog.replaceChildren(form);
    dialog.onclose = () => finish(null);
    dialog.showModal();
  });
}

export class Conduct {
  constructor(link, store, told) {
    Object.assign(this, { link, store, told });
  }

  mine() {
    return this.store.holder !== null && this.store.holder?.session === this.link.welcome?.session;
  }

  // Control in this operator's name; asks before it is taken from somebody else.
  async control() {
    if (!this.link.welcome) return this.say(t("link.cut")), false;
    if (!this.link.welcome.may_command) return this.say(t("control.view_only")), false;
    if (this.mine()) return true;
    const other = this.store.holder;
    let name = this.store.operator;
    if (other || !name) {
      const field = el("input", { type: "text", id: "operator-name", maxlength: 40, value: name ?? "", autocomplete: "off" });
      const body = [other ? el("p", {}, t("control.held", { name: other.name, from: other.from })) : null,
        el("div", { class: "row" }, el("label", { for: "operator-name" }, t("set.operator")), field)].filter(Boolean);
      name = await ask(t(other ? "control.take_over" : "control.take"), body, [
        { words: t("do.cancel"), value: null },
        { words: t(other ? "control.take_over" : "control.take"), value: () => field.value.trim(), primary: true },
      ]);
      if (!name) return false;
      this.store.setOperator(name);
    }
    const taken = new Promise((resolve) => this.link.addEventListener("control", () => resolve(), { once: true }));
    const refused = new Promise((resolve) => this.link.addEventListener("refused", () => resolve(), { once: true }));
    this.link.say({ do: "take", name, over: other !== null });
    await Promise.race([taken, refused]);
    return this.mine();
  }

  say(words) {
    this.told(words);
  }

  // Gives a command; true when it was carried out. A refusal is said on the page.
  async give(request) {
    if (!(await this.control())) return false;
    const reply = await this.link.ask(request);
    if (!reply) return this.say(t("link.unanswered")), false;
    if (!reply.ok) this.say(t(`refused.${reply.error.code}`, { message: reply.error.message }));
    else this.say("");
    return reply.ok;
  }

  // Asks for a correction; null when it is on record, else why it is not.
  async correct(correction) {
    if (!(await this.control())) return t(this.link.welcome?.may_command === false ? "control.view_only" : "control.nobody");
    const reply = await this.link.correct(correction);
    if (!reply) return t("link.unanswered");
    if (reply.ok) return null;
    const { code, message } = reply.error;
    return t(code === "refused" ? "correct.not_done" : `refused.${code}`, { message });
  }

  field() {
    return this.give({ command: "field" });
  }

  async finger(finger) {
    const { state } = this.store;
    const next = finger ?? nextFinger(state);
    if (next === null) return this.say(t("do.all_done")), false;
    if (next === state.finger) return this.field();
    return this.give({ command: "finger", finger: next });
  }

  // Skips the finger at hand if nothing of it was recorded, and else the next.
  async skip(chosen) {
    const { state } = this.store;
    const recorded = (finger) => (state.fields ?? []).some((field) => field.finger === finger) || (state.finger === finger && state.field !== undefined);
    const finger = chosen ?? (state.finger && !recorded(state.finger) ? state.finger : nextFinger(state));
    if (!finger) return this.say(t("do.all_done")), false;
    const field = el("input", { type: "text", id: "reason", maxlength: 200, list: "reasons", autocomplete: "off" });
    const list = el("datalist", { id: "reasons" }, REASONS.map((reason) => el("option", { value: t(`reason.${reason}`) })));
    const quick = el("div", { class: "inline" }, REASONS.map((reason) => el("button", { type: "button", on: { click: () => { field.value = t(`reason.${reason}`); field.focus(); } } }, t(`reason.${reason}`))));
    const body = [el("div", { class: "row" }, el("label", { for: "reason" }, t("skip.reason")), field, list), quick];
    const reason = await ask(t("skip.title", { finger: fingerName(finger) }), body, [
      { words: t("do.cancel"), value: null },
      { words: t("do.skip"), value: () => field.value.trim(), primary: true },
    ]);
    if (reason === null) return false;
    if (reason === "") return this.say(t("skip.needs_reason")), false;
    return this.give({ command: "skip", finger, reason });
  }

  async close() {
    const { state, blind } = this.store;
    const left = PROTOCOL.filter((finger) => finger !== state.finger && !(state.fields ?? []).some((field) => field.finger === finger) && state.skipped?.[finger] === undefined);
    const open = blind ? [...new Set([...uncalled(state), ...(state.finger && !state.own_calls?.[state.finger] && state.field ? [state.finger] : [])])] : [];
    const body = [
      left.length > 0 ? el("p", {}, t("close.left", { fingers: left.map(fingerName).join(", ") })) : null,
      open.length > 0 ? el("p", {}, t("close.uncalled", { fingers: open.map(fingerName).join(", ") })) : null,
      el("p", {}, t("close.final")),
    ].filter(Boolean);
    const sure = await ask(t("close.title"), body, [{ words: t("do.go_on"), value: false }, { words: t("do.close"), value: true, primary: true }]);
    return sure ? this.give({ command: "close" }) : false;
  }

  async call(finger, call) {
    if (!finger) return this.say(t("own.no_finger")), false;
    const blinded = this.store.blind && !this.store.state.own_calls?.[finger];
    return this.give({ command: "call", finger, call, blinded });
  }

  async comment(finger) {
    const now = this.store.state.own_calls?.[finger];
    if (!now) return;
    const field = el("textarea", { id: "comment", maxlength: 500, rows: 3 });
    field.value = now.comment ?? "";
    const body = el("div", { class: "row" }, el("label", { for: "comment" }, t("own.comment_hint")), field);
    const comment = await ask(t("own.comment_of", { finger: fingerName(finger) }), body, [{ words: t("do.cancel"), value: null }, { words: t("do.keep"), value: () => field.value.replace(/\s+/g, " ").trim(), primary: true }]);
    if (comment) await this.give({ command: "call", finger, call: now.call, comment, blinded: now.blinded ?? false });
  }
}

// The keys, in the order in which the help shows them.
export const KEYS = [
  ["Space", "␣", "do.field"], ["KeyN", "N", "do.finger"], ["KeyS", "S", "do.skip"], ["KeyC", "C", "do.close"],
  ["Digit1", "1", "call.category_1"], ["Digit2", "2", "call.category_2"], ["Digit0", "0", "call.not_classifiable"],
  ["KeyM", "M", "do.comment"], ["KeyO", "O", "do.measured"], ["KeyH", "H", "do.health"], ["KeyT", "T", "control.take"],
];

// Calls `act` with the word of a key, unless the key is meant for what is being written or for an open question.
export function listen(store, act) {
  document.addEventListener("keydown", (event) => {
    if (!store.keys || event.ctrlKey || event.metaKey || event.altKey || event.repeat || by("dialog").open) return;
    const at = event.target;
    if (at.closest?.("input, select, textarea")) return;
    if (event.code === "Space" && at.closest?.("button, summary, a, [role=button]")) return;
    const code = event.code.startsWith("Numpad") ? event.code.replace("Numpad", "Digit") : { PageDown: "Space", PageUp: "KeyN" }[event.code] ?? event.code;
    const key = KEYS.find(([known]) => known === code);
    if (!key) return;
    event.preventDefault();
    act(key[2]);
  });
}
