/**
 * German texts: lists of devices, one device, and why it does not connect.
 *
 * @module
 */

import type { DEVICES as ENGLISH } from "../en/devices.ts";
import type { Translated } from "../message.ts";

/** German. */
export const DEVICES: Translated<typeof ENGLISH> = {
  "devices.title": "Geräte",
  "devices.add": "Gerät hinzufügen",
  "devices.search": "Suchen",
  "devices.search-hint": "Name, Besitzer, Adresse oder Schlüssel",
  "devices.state": "Zustand",
  "devices.all": "Alle Zustände",
  "devices.count": { one: "{n} Gerät", other: "{n} Geräte" },
  "devices.empty": "Es gibt noch kein Gerät.",
  "devices.no-match": "Kein Gerät passt.",
  "devices.name": "Name",
  "devices.address": "Adresse",
  "devices.owner": "Besitzer",
  "devices.handshake": "Letzter Handshake",
  "devices.rate": "Jetzt",
  "devices.traffic": "Gesamt",
  "devices.network": "Netz",
  "devices.sort": "Nach {name} sortieren",
  "devices.no-owner": "Niemand",

  "state.online": "Online",
  "state.idle": "Untätig",
  "state.never": "Nie verbunden",
  "state.expired": "Abgelaufen",
  "state.disabled": "Gesperrt",

  "rate.down": "Vom Gerät empfangen",
  "rate.up": "Vom Gerät gesendet",

  "device.back": "Alle Geräte",
  "device.why": "Warum es sich nicht verbindet",
  "device.traffic": "Datenverkehr",
  "device.span": "Zeitraum",
  "device.hour": "Stunde",
  "device.day": "Tag",
  "device.month": "Monat",
  "device.year": "Jahr",
  "device.no-traffic": "Kein Datenverkehr in diesem Zeitraum.",
  "device.chart": "Datenverkehr in diesem Zeitraum: {rx} empfangen, {tx} vom Gerät gesendet.",
  "device.details": "Einzelheiten",
  "device.addresses": "Adressen",
  "device.routed-networks": "Netze dahinter",
  "device.routed-networks-hint":
    "Eines pro Zeile, etwa 192.168.7.0/24. Pakete dorthin sendet der Server durch den Tunnel dieses Geräts.",
  "device.endpoint": "Meldet sich von",
  "device.public-key": "Öffentlicher Schlüssel",
  "device.created": "Hinzugefügt",
  "device.expires": "Läuft ab",
  "device.config": "Konfiguration",
  "device.config-note": "Ohne den privaten Schlüssel: den hat nur das Gerät.",
  "device.rename": "Umbenennen",
  "device.set-expiry": "Ablauf festlegen",
  "device.expiry-hint": "Zu dieser Zeit wird der Tunnel getrennt. Leer heißt nie.",
  "device.disable": "Sperren",
  "device.enable": "Freigeben",
  "device.remove-title": "{name} entfernen?",
  "device.remove-text":
    "Der Tunnel wird sofort getrennt und die Adresse wird frei. Das lässt sich nicht rückgängig machen.",
  "device.live-down": "Empfängt {rate}",
  "device.live-up": "Sendet {rate}",

  "reason.expired": "Das Gerät ist {when} abgelaufen. Ein späterer Zeitpunkt lässt es wieder zu.",
  "reason.user-expired":
    "Das Konto des Besitzers ist abgelaufen. Legen Sie dort einen späteren Zeitpunkt fest.",
  "reason.disabled": "Das Gerät ist gesperrt. Geben Sie es frei, um es wieder zuzulassen.",
  "reason.user-disabled": "Das Konto des Besitzers ist gesperrt.",
  "reason.no-access": "Der Besitzer gehört zu keiner Gruppe mehr, die dieses Netz benutzen darf.",
  "reason.interface-down": "Die Schnittstelle {interface} läuft auf dem Server nicht.",
  "reason.missing":
    "Die Schnittstelle kennt dieses Gerät nicht. Es wird hinzugefügt, wenn der Server beide das nächste Mal vergleicht.",
  "reason.unroutable": "Der Server hat keine Route zu Netzen hinter dem Gerät: {networks}.",
  "reason.never-called":
    "Nichts, was dieses Gerät gesendet hat, ist beim Server angekommen. Ist der Tunnel dort eingeschaltet? Ist UDP-Port {port} auf dem Weg zu {endpoint} offen?",
  "reason.wrong-key":
    "Jemand meldet sich mit einem Schlüssel, den der Server nicht kennt. Hat das Gerät eine alte Konfiguration?",
  "reason.wrong-server-key":
    "Jemand meldet sich, kennt aber einen anderen öffentlichen Schlüssel dieses Servers. Hat das Gerät eine alte Konfiguration?",
  "reason.no-answer":
    "Das Gerät meldet sich, aber die Antworten des Servers kommen dort nicht an. Eine Firewall oder ein NAT unterwegs verwirft sie.",
  "reason.nothing-after-handshake":
    "Der Handshake klappt, aber danach kommen keine Daten. Prüfen Sie die erlaubten Adressen (AllowedIPs) des Geräts und seinen DNS-Server.",
  "reason.silent":
    "Das Gerät war verbunden und schweigt seit {when}. Wahrscheinlich ist es ausgeschaltet oder schläft.",
  "reason.connected": "Es ist verbunden.",

  "mine.title": "Meine Geräte",
  "mine.empty": "Verbinden Sie Ihr erstes Gerät. Es dauert keine Minute.",
  "mine.count": "{n} von {max} Geräten",
};
