/**
 * Dark or light: as the system, unless the user chose one.
 *
 * @module
 */

/** The choices. */
export const THEMES = ["auto", "light", "dark"] as const;
/** One of these choices. */
export type Theme = typeof THEMES[number];

const STORED = "wgd-theme";

/** The stored choice. */
export function currentTheme(): Theme {
  const stored = localStorage.getItem(STORED);
  return THEMES.find((theme) => theme === stored) ?? "auto";
}

/** Shows the page in a theme. */
export function applyTheme(): void {
  const theme = currentTheme();
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

/** Stores the choice in this browser and applies it. */
export function chooseTheme(theme: Theme): void {
  localStorage.setItem(STORED, theme);
  applyTheme();
}
