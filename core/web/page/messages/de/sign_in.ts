/**
 * German texts: signing in, the setup, and invite links as their receiver sees them.
 *
 * @module
 */

import type { SIGN_IN as ENGLISH } from "../en/sign_in.ts";
import type { Translated } from "../message.ts";

/** German. */
export const SIGN_IN: Translated<typeof ENGLISH> = {
  "sign-in.title": "Anmelden",
  "sign-in.provider-failed":
    "Der Anbieter hat Sie nicht angemeldet. Versuchen Sie es noch einmal oder fragen Sie die Verwaltung.",
  "sign-in.disabled": "Ihr Konto ist gesperrt. Fragen Sie die Verwaltung.",
  "sign-in.name": "Name",
  "sign-in.password": "Passwort",
  "sign-in.code": "Code",
  "sign-in.code-hint": "Sechs Ziffern aus Ihrer Authentifizierungs-App.",
  "sign-in.submit": "Anmelden",
  "sign-in.with": "Mit {name} anmelden",
  "sign-in.provider": "Konto",
  "sign-in.local": "Konto dieses Servers",

  "setup.title": "Diesen Server einrichten",
  "setup.lead": "Füllen Sie drei Felder aus. Dann kann sich das erste Gerät verbinden.",
  "setup.endpoint": "Öffentliche Adresse",
  "setup.endpoint-hint":
    "Rechnername oder IP-Adresse und UDP-Port, unter denen Geräte diesen Server erreichen.",
  "setup.address": "Privates Netz",
  "setup.address-hint": "Die Adresse des Servers im Tunnel. Geräte bekommen die Adressen danach.",
  "setup.password": "Ihr Passwort",
  "setup.password-hint": "Mindestens {n} Zeichen.",
  "setup.more": "Weitere Einstellungen",
  "setup.name": "Ihr Name",
  "setup.interface": "Name der Schnittstelle",
  "setup.dns": "DNS-Server",
  "setup.submit": "Einrichten",
  "setup.no-token":
    "Dieser Link ist unvollständig. Öffnen Sie den ganzen Einrichtungslink, den wgd beim ersten Start ausgegeben hat.",
  "setup.done": "Dieser Server ist schon eingerichtet.",

  "invite.title": "Sie sind eingeladen",
  "invite.lead": "Verbinden Sie ein Gerät mit diesem Netz.",
  "invite.no-token": "Dieser Link ist unvollständig. Lassen Sie ihn sich noch einmal geben.",
};
