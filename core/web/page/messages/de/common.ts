/**
 * German texts: the frame of the page, and words that several screens use.
 *
 * @module
 */

import type { COMMON as ENGLISH } from "../en/common.ts";
import type { Translated } from "../message.ts";

/** German. */
export const COMMON: Translated<typeof ENGLISH> = {
  "nav.label": "Bereiche",
  "nav.devices": "Geräte",
  "nav.mine": "Meine Geräte",
  "nav.people": "Personen",
  "nav.network": "Netz",
  "nav.activity": "Verlauf",
  "nav.settings": "Einstellungen",
  "nav.account": "Konto",
  "nav.more": "Mehr",
  "skip": "Zum Inhalt springen",
  "sign-out": "Abmelden",
  "theme": "Darstellung",
  "theme.auto": "Wie das System",
  "theme.light": "Hell",
  "theme.dark": "Dunkel",
  "language": "Sprache",
  "loading": "Wird geladen …",
  "retry": "Noch einmal versuchen",
  "cancel": "Abbrechen",
  "save": "Speichern",
  "saved": "Gespeichert",
  "close": "Schließen",
  "remove": "Entfernen",
  "edit": "Bearbeiten",
  "copy": "Kopieren",
  "copied": "Kopiert",
  "optional": "freiwillig",
  "none": "Keine",
  "never": "Nie",
  "more": "Mehr anzeigen",
  "not-found": "Diese Seite gibt es nicht.",
  "to-start": "Zur Startseite",
  "list-hint": "Mehrere durch Kommas trennen.",

  "connection.lost": "Keine Verbindung zum Server. Es wird wieder versucht …",
  "settling": "Noch nicht jede Änderung ist bei den Schnittstellen angekommen. Der Server arbeitet daran.",
};
