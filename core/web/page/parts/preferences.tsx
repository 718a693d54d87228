/**
 * Appearance and language. This browser stores both.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { chooseLanguage, currentLanguage, type Language, LANGUAGES, t } from "../text.ts";
import { chooseTheme, currentTheme, type Theme, THEMES } from "../theme.ts";
import { Select } from "./form.tsx";

/** Both settings. */
export function Preferences() {
  const [theme, setTheme] = useState(currentTheme);
  const choose = (value: string) => {
    chooseTheme(value as Theme);
    setTheme(value as Theme);
  };
  return (
    <div class="preferences">
      <Select
        label={t("theme")}
        value={theme}
        onValue={choose}
        options={THEMES.map((theme) => [theme, t(`theme.${theme}`)])}
      />
      <Select
        label={t("language")}
        value={currentLanguage()}
        onValue={(value) => chooseLanguage(value as Language)}
        options={Object.entries(LANGUAGES)}
      />
    </div>
  );
}
