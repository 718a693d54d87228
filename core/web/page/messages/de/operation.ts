/**
 * German texts: networks, activity and settings of the server.
 *
 * @module
 */

import type { OPERATION as ENGLISH } from "../en/operation.ts";
import type { Translated } from "../message.ts";

/** German. */
export const OPERATION: Translated<typeof ENGLISH> = {
  "network.title": "Netz",
  "network.add": "Netz hinzufügen",
  "network.endpoint": "Öffentliche Adresse",
  "network.addresses": "Adressen",
  "network.dns": "DNS-Server",
  "network.allowed-ips": "Was Geräte durch den Tunnel erreichen",
  "network.mtu": "MTU",
  "network.keepalive": "Lebenszeichen alle (Sekunden)",
  "network.say-calls": "Geräte melden sich über UDP bei {endpoint}.",
  "network.say-addresses": "Sie bekommen Adressen aus {addresses}.",
  "network.say-all": "Ihr ganzer Datenverkehr geht durch den Tunnel.",
  "network.say-some": "Sie erreichen {prefixes} durch den Tunnel; alles andere geht den üblichen Weg.",
  "network.say-dns": "Sie fragen {dns} nach Namen.",
  "network.say-no-dns": "Sie behalten ihre eigenen DNS-Server.",
  "network.say-keepalive": "Sie senden alle {n} Sekunden ein Lebenszeichen.",
  "network.change-note": "Geräte übernehmen Änderungen, wenn sie eine neue Konfiguration importieren.",
  "network.empty": "Es gibt noch kein Netz.",

  "activity.title": "Verlauf",
  "activity.time": "Zeit",
  "activity.who": "Wer",
  "activity.what": "Was",
  "activity.details": "Einzelheiten",
  "activity.empty": "Es ist noch nichts geschehen.",

  "settings.title": "Einstellungen",
  "settings.tokens": "API-Token",
  "settings.tokens-text": "Ein Programm sendet das Token in der Kopfzeile Authorization: Bearer.",
  "settings.token-add": "Token hinzufügen",
  "settings.token-name": "Name",
  "settings.token-scopes": "Was es darf",
  "settings.token-once": "Das Token wird nur jetzt gezeigt.",
  "settings.token-used": "Zuletzt benutzt {when}",
  "settings.token-unused": "Nie benutzt",
  "settings.token-remove-title": "Das Token {name} entfernen?",
  "settings.token-remove-text": "Programme, die es benutzen, werden ab jetzt abgewiesen.",
  "settings.tokens-empty": "Es gibt kein Token.",
  "settings.https": "HTTPS",
  "settings.certificate-problem":
    "Das Zertifikat endet am {time} und konnte nicht erneuert werden. Der Grund steht im Protokoll von wgd web.",
  "settings.fingerprint": "Fingerabdruck des Zertifikats (SHA-256)",
  "settings.backup": "Sicherung",
  "settings.backup-text": "Eine Kopie der Datenbank. Sie enthält keinen Schlüssel, der einen Tunnel öffnet.",
  "settings.backup-save": "Sicherung speichern",
  "settings.api": "API",
  "settings.api-link": "OpenAPI-Beschreibung",
};
