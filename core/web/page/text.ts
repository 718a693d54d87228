/**
 * Texts, numbers and times in the user's language.
 *
 * @module
 */

import { type Key, MESSAGES as ENGLISH, type Messages } from "./messages/en.ts";
import type { Message } from "./messages/message.ts";

/** The languages of the page. */
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
/** One of these languages. */
export type Language = keyof typeof LANGUAGES;

export type { Key };

const STORED = "wgd-language";

let messages: Messages = ENGLISH;
let language: Language = "en";
let locale = "en";
let plural = new Intl.PluralRules(locale);

/** The current language. */
export function currentLanguage(): Language {
  return language;
}

/** Loads the language that was chosen before, or else the first of the browser's languages that the page has. */
export async function loadLanguage(): Promise<void> {
  const wanted = [localStorage.getItem(STORED) ?? "", ...navigator.languages];
  const found = wanted.find((tag) => tag.slice(0, 2) in LANGUAGES) ?? "en";
  language = found.slice(0, 2) as Language;
  // The browser's own tag decides how numbers are written, because en-GB and en-US differ.
  locale = navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
  plural = new Intl.PluralRules(locale);
  if (language === "de") ({ MESSAGES: messages } = await import("./messages/de.ts"));
  document.documentElement.lang = language;
}

/** Changes the language and loads the page again. */
export function chooseLanguage(chosen: Language): void {
  localStorage.setItem(STORED, chosen);
  location.reload();
}

/** A text in the user's language. */
export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  const message: Message = messages[key];
  const form = typeof message === "string"
    ? message
    : message[plural.select(Number(values["n"])) === "one" ? "one" : "other"];
  return form.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? formatNumber(value) : value;
  });
}

/** A text whose key is made at run time; undefined if there is none. */
export function tIfKnown(
  key: string,
  values?: Readonly<Record<string, string | number>>,
): string | undefined {
  return Object.hasOwn(messages, key) ? t(key as Key, values) : undefined;
}

/** A number. */
export function formatNumber(value: number): string {
  return new Intl.NumberFormat(locale).format(value);
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes with three digits and a decimal unit. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const scaled = bytes / 1000 ** power;
  const digits = power === 0 || scaled >= 100 ? 0 : 1;
  const text = new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(scaled);
  return `${text} ${UNITS[power]}`;
}

/** Bytes per second as bits per second, the usual unit of network speed. */
export function formatRate(bytesPerSecond: number): string {
  return formatBytes(bytesPerSecond * 8).replace("kB", "kbit").replace(/B$/, "bit") + "/s";
}

const AGO: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, seconds: number])[] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** How long ago something happened, or how soon it will happen. */
export function formatAgo(time: string, now: number): string {
  const seconds = Math.round((Date.parse(time) - now) / 1000);
  const [unit, length] = AGO.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  // A future time is rounded up: seven days less a second are seven days.
  const value = seconds > 0 ? Math.round(seconds / length) : Math.trunc(seconds / length);
  return new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" }).format(value, unit);
}

/** Date and time. */
export function formatTime(time: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));
}

/** A time as fields of type datetime-local need it: local time, to the minute. Empty for none. */
export function toLocalTime(time: string | null): string {
  if (time === null) return "";
  const date = new Date(time);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The time in such a field; null if it is empty. */
export function fromLocalTime(text: string): string | null {
  return text === "" ? null : new Date(text).toISOString();
}

/** A date and time in a chart that covers so many seconds. */
export function formatTick(seconds: number, span: number): string {
  const options: Intl.DateTimeFormatOptions = span > 86_400 * 60
    ? { month: "short" }
    : span > 86_400 * 2
    ? { day: "numeric", month: "short" }
    : { hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(locale, options).format(new Date(seconds * 1000));
}
