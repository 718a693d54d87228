/**
 * German texts: adding a device.
 *
 * @module
 */

import type { ADD as ENGLISH } from "../en/add.ts";
import type { Translated } from "../message.ts";

/** German. */
export const ADD: Translated<typeof ENGLISH> = {
  "add.title": "Gerät hinzufügen",
  "add.how": "Welches Gerät?",
  "add.phone": "Telefon oder Tablet",
  "add.phone-text": "Einen QR-Code abfotografieren",
  "add.this": "Dieser Computer",
  "add.this-text": "Eine Datei speichern",
  "add.invite": "Jemand anderes",
  "add.invite-text": "Einen Einladungslink senden",
  "add.name": "Name des Geräts",
  "add.default-phone": "Telefon",
  "add.default-this": "Computer",
  "add.network": "Netz",
  "add.expires": "Läuft ab",
  "add.make-qr": "QR-Code zeigen",
  "add.make-file": "Konfiguration erstellen",
  "add.make-invite": "Link erstellen",
  "add.keys-note":
    "Die Schlüssel entstehen in diesem Browser. Der private Schlüssel verlässt ihn nie: Der Server bekommt nur den öffentlichen.",
  "add.ready": "{name} ist bereit",
  "add.qr-label": "QR-Code mit der Konfiguration von {name}",
  "add.step-1": "Installieren und öffnen Sie die WireGuard-App.",
  "add.step-2": "Tippen Sie auf das Plus und wählen Sie „Von QR-Code scannen“.",
  "add.step-3": "Schalten Sie den Tunnel ein.",
  "add.file-step-1": "Speichern Sie die Datei.",
  "add.file-step-2": "Importieren Sie sie in der WireGuard-App, oder führen Sie aus: {command}",
  "add.save-file": "{file} speichern",
  "add.once": "Das wird nur einmal gezeigt. Wenn Sie diese Seite verlassen, ist der private Schlüssel fort.",
  "add.waiting": "Warten auf den ersten Handshake …",
  "add.connected": "Verbunden",
  "add.another": "Noch eines hinzufügen",
  "add.to-device": "{name} öffnen",
  "add.to-invites": "Alle Einladungslinks",
  "add.invite-hint": "Wer den Link zuerst öffnet, fügt damit ein Gerät hinzu.",
  "add.invite-link": "Einladungslink",
  "add.invite-once":
    "Der Link gilt einmal und wird nur jetzt gezeigt. Senden Sie ihn auf einem Weg, dem Sie vertrauen.",
  "add.limit": {
    one: "Sie haben {n} Gerät, und mehr dürfen Sie nicht haben.",
    other: "Sie haben {n} Geräte, und mehr dürfen Sie nicht haben.",
  },
  "add.no-network": "Sie dürfen noch kein Netz benutzen. Fragen Sie die Verwaltung.",
};
