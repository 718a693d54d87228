/**
 * Dark or light: as the system is, unless the reader chose.
 *
 * @module
 */

/** What may be chosen. */
export const THEMES = ["auto", "light", "dark"] as const;
/** One of them. */
export type Theme = typeof THEMES[number];

const STORED = "wgd-theme";

/** What was chosen. */
export function currentTheme(): Theme {
  const stored = localStorage.getItem(STORED);
  return THEMES.find((theme) => theme === stored) ?? "auto";
}

/** Shows the page in it. */
export function applyTheme(): void {
  const theme = currentTheme();
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

/** Chooses, for this browser. */
export function chooseTheme(theme: Theme): void {
  localStorage.setItem(STORED, theme);
  applyTheme();
}
