// Every word of the page, in the language that was chosen.

import { kept } from "./dom.js";

const LANGUAGES = ["en", "fr", "zh"];
let table = {};
let language = "en";

export async function load() {
  const answer = await fetch("/words.json");
  table = await answer.json();
  const usual = (navigator.language ?? "en").slice(0, 2);
  choose(kept.get("language", LANGUAGES.includes(usual) ? usual : "en"));
}

export function choose(chosen) {
  language = LANGUAGES.includes(chosen) ? chosen : "en";
  kept.set("language", language);
  document.documentElement.lang = language === "zh" ? "zh-Hans" : language;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = t(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
}

export const chosen = () => language;

// The words of `key`, with {holes} filled. A key without words shows itself: better odd than silent.
export function t(key, holes = {}) {
  const words = table[language]?.[key] ?? table.en?.[key] ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => holes[name] ?? "");
}

export const known = (key) => table.en?.[key] !== undefined;

export function number(value, digits = 0) {
  return value.toLocaleString(document.documentElement.lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function date(stamp) {
  return new Date(stamp).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
}

// A person at the page by name; where the page stood is on the record.
export const who = (by) => by.split(", at the page from ")[0];

export const fingerName = (finger) => t(`finger.${finger}`);

export function label(word) {
  const key = `call.${word.replace(" ", "_")}`;
  return known(key) ? t(key) : word;
}
