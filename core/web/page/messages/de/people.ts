/**
 * German texts: users, groups and invite links.
 *
 * @module
 */

import type { PEOPLE as ENGLISH } from "../en/people.ts";
import type { Translated } from "../message.ts";

/** German. */
export const PEOPLE: Translated<typeof ENGLISH> = {
  "people.title": "Personen",
  "people.users": "Benutzer",
  "people.groups": "Gruppen",
  "people.providers": "Anmeldedienste",
  "people.invites": "Einladungslinks",
  "users.add": "Benutzer hinzufügen",
  "users.name": "Name",
  "users.email": "E-Mail",
  "users.role": "Rolle",
  "users.role-user": "Benutzer",
  "users.role-admin": "Verwaltung",
  "users.password": "Erstes Passwort",
  "users.devices": "Geräte",
  "users.max": "Höchstzahl der Geräte",
  "users.active": "Aktiv",
  "users.disabled": "Gesperrt",
  "users.expired": "Abgelaufen",
  "users.expiry-hint":
    "Zu dieser Zeit wird der Benutzer abgemeldet und seine Tunnel getrennt. Leer heißt nie.",
  "users.new-password-hint": "Mindestens {n} Zeichen. Leer lassen, um das jetzige zu behalten.",
  "users.remove-totp": "Zweiten Faktor ausschalten",
  "users.disable": "Sperren",
  "users.enable": "Freigeben",
  "users.end-sessions": "Überall abmelden",
  "users.sessions-ended": "Alle Sitzungen sind beendet",
  "users.remove-title": "{name} entfernen?",
  "users.remove-text": "Die Geräte des Benutzers werden entfernt und ihre Tunnel sofort getrennt.",
  "users.empty": "Es gibt keinen Benutzer.",
  "groups.add": "Gruppe hinzufügen",
  "groups.members": { one: "{n} Mitglied", other: "{n} Mitglieder" },
  "groups.networks": "Netze, die sie benutzen darf",
  "groups.empty":
    "Es gibt keine Gruppe. Gruppen geben Benutzern Zugang zu Netzen. Die Verwaltung hat ihn ohne Gruppe.",
  "groups.no-network": "Kein Netz",
  "groups.source": "Aus {source}",
  "groups.from": "Wer bestimmt, wer dazugehört",
  "groups.from-here": "Die Verwaltung dieses Servers",
  "groups.external": "Name der Gruppe dort",
  "groups.external-hint": "Ihr cn oder DN, oder der Wert des Claims. Leer, wenn sie gleich heißt.",
  "groups.remove-title": "{name} entfernen?",
  "groups.remove-text": "Die Mitglieder verlieren den Zugang, den nur diese Gruppe ihnen gab.",

  "invites.add": "Einladungslink hinzufügen",
  "invites.empty": "Kein Einladungslink wartet darauf, benutzt zu werden.",
  "invites.for": "Für wen",
  "invites.anybody": "Jeden",
  "invites.row": "Für {name}",
  "invites.row-anybody": "Für jeden",
  "invites.life": "Gilt",
  "invites.days": { one: "{n} Tag", other: "{n} Tage" },
  "invites.made": "{when} erstellt",
  "invites.made-title": "Der Link ist bereit",
  "invites.used": "{when} benutzt",
  "invites.expires": "Läuft {when} ab",
  "invites.take-back": "Zurücknehmen",
  "invites.take-back-title": "Den Link zurücknehmen?",
  "invites.take-back-text": "Wer ihn hat, kann ihn nicht mehr benutzen.",
};
