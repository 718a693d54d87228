/**
 * German texts: the user’s own account.
 *
 * @module
 */

import type { ACCOUNT as ENGLISH } from "../en/account.ts";
import type { Translated } from "../message.ts";

/** German. */
export const ACCOUNT: Translated<typeof ENGLISH> = {
  "account.title": "Konto",
  "account.password": "Passwort ändern",
  "account.old": "Jetziges Passwort",
  "account.new": "Neues Passwort",
  "account.change": "Passwort ändern",
  "account.changed": "Das Passwort ist geändert. Alle anderen Sitzungen sind beendet.",
  "account.totp": "Zweiter Faktor",
  "account.totp-text":
    "Eine Authentifizierungs-App zeigt alle 30 Sekunden einen neuen Code, den Sie beim Anmelden eingeben.",
  "account.totp-on": "Der zweite Faktor ist eingeschaltet.",
  "account.totp-start": "Einrichten",
  "account.totp-scan":
    "Scannen Sie diesen Code mit einer Authentifizierungs-App und geben Sie den Code ein, den sie zeigt.",
  "account.totp-confirm": "Einschalten",
  "account.totp-remove": "Ausschalten",
  "account.totp-qr": "QR-Code für die Authentifizierungs-App",
  "account.sessions": "Sitzungen",
  "account.session-this": "Diese Sitzung",
  "account.session-since": "Angemeldet {when}",
  "account.session-end": "Beenden",
};
