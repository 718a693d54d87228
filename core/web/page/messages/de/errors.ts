/**
 * German texts: requests that the server refuses.
 *
 * @module
 */

import type { ERRORS as ENGLISH } from "../en/errors.ts";
import type { Translated } from "../message.ts";

/** German. */
export const ERRORS: Translated<typeof ENGLISH> = {
  "error.no-answer":
    "Der Server antwortet nicht. Prüfen Sie die Verbindung und versuchen Sie es noch einmal.",
  "error.failed": "Der Server konnte das nicht tun ({status}).",
  "error.wrong-sign-in": "Der Name oder das Passwort ist falsch.",
  "error.too-many-devices": "Mehr Geräte dürfen Sie nicht haben. Entfernen Sie zuerst eines.",
  "error.no-password": "Ihr Anmeldedienst kümmert sich selbst um Passwort und zweiten Faktor.",
  "error.provider-unavailable":
    "Das Verzeichnis oder der Anbieter antwortet gerade nicht. Versuchen Sie es später noch einmal.",
  "error.wrong-code": "Der Code ist falsch.",
  "error.wrong-password": "Das Passwort ist falsch.",
  "error.account-disabled": "Dieses Konto ist gesperrt oder abgelaufen. Fragen Sie die Verwaltung.",
  "error.not-allowed": "Das dürfen Sie nicht.",
  "error.not-found": "Das gibt es nicht mehr.",
  "error.secret-needed": "Die Adresse ist jetzt eine andere: Geben Sie das Geheimnis noch einmal ein.",
  "error.last-admin": "Dann hätte der Server keine Verwaltung mehr.",
  "error.network-full": "Das Netz hat keine freie Adresse mehr.",
  "error.no-invitation": "Dieser Link wurde schon benutzt oder ist abgelaufen.",
  "error.no-setup": "Das hat zu lange gedauert. Fangen Sie noch einmal an.",
  "error.setup-refused": "Dieser Einrichtungslink wurde benutzt, oder es gibt einen neueren.",
  "error.fault": "Etwas ging schief. Das Protokoll von wgd web sagt, was.",
  "error.database": "Die Datenbank ist gerade nicht benutzbar. Das Protokoll von wgd web sagt, warum.",
  "error.second-factor-lost":
    "Der Server kann zweite Faktoren nicht mehr prüfen. Bitten Sie die Verwaltung, Ihren auszuschalten.",
  "error.too-many-attempts": "Zu viele Versuche. Warten Sie eine Minute und versuchen Sie es noch einmal.",
  "error.busy": "Der Server hat gerade zu viel zu tun. Versuchen Sie es in einigen Sekunden noch einmal.",
  "error.code-needed": "Geben Sie auch den Code aus Ihrer Authentifizierungs-App ein.",
  "error.foreign-origin":
    "Diese Anfrage kommt nicht von der eigenen Seite des Servers. Laden Sie die Seite neu.",
  "error.not-signed-in": "Melden Sie sich noch einmal an.",
  "error.not-json": "Der Server hat die Anfrage nicht verstanden. Laden Sie die Seite neu.",
  "error.too-long": "Das ist zu lang für den Server.",
  "error.weak-password":
    "Ein Passwort hat mindestens zehn Zeichen, davon vier verschiedene, und ist nicht der Name.",
  "error.no-totp": "Es gibt keinen zweiten Faktor.",
  "error.no-directory": "Nur Verzeichnisse können verglichen werden.",
  "error.bad-request": "Der Server kann mit der Eingabe nichts anfangen.",
  "error.bad-request.token": "Dieser Link ist nicht vollständig. Öffnen Sie ihn noch einmal.",
  "error.bad-request.name":
    "Ein Name ist eine Zeile mit bis zu 64 Zeichen, ohne Leerzeichen am Rand. Ein Netz heißt wie seine Schnittstelle: bis zu 15 Buchstaben und Ziffern, etwa wg0.",
  "error.bad-request.password": "Ein Passwort hat mindestens zehn Zeichen.",
  "error.bad-request.old": "Geben Sie Ihr jetziges Passwort ein.",
  "error.bad-request.new": "Ein Passwort hat mindestens zehn Zeichen.",
  "error.bad-request.secret": "Ein Geheimnis hat bis zu 2000 Zeichen.",
  "error.bad-request.address":
    "Schreiben Sie eine Adresse mit Präfixlänge, etwa 10.8.0.1/24. Im Netz muss Platz für Geräte sein.",
  "error.bad-request.addresses":
    "Schreiben Sie Adressen mit Präfixlänge, etwa 10.8.0.1/24. In den Netzen muss Platz für Geräte sein.",
  "error.bad-request.endpoint":
    "Schreiben Sie einen Rechnernamen oder eine Adresse, mit Port, wenn es nicht 51820 ist: vpn.example.org:51820 oder [2001:db8::1]:51820.",
  "error.bad-request.dns": "Schreiben Sie Adressen von DNS-Servern oder Domains.",
  "error.bad-request.allowedIps": "Schreiben Sie Netze wie 10.8.0.0/24 oder 0.0.0.0/0.",
  "error.bad-request.routedNetworks": "Geben Sie bis zu 64 Netze wie 192.168.7.0/24 ein.",
  "error.bad-request.mtu": "Eine MTU ist eine Zahl von 576 bis 65535.",
  "error.bad-request.keepalive": "Schreiben Sie Sekunden von 1 bis 65535.",
  "error.bad-request.provider": "Diesen Weg der Anmeldung gibt es nicht mehr. Laden Sie die Seite neu.",
  "error.bad-request.code": "Ein Code hat sechs Ziffern.",
  "error.bad-request.network": "Wählen Sie ein Netz.",
  "error.bad-request.networks": "Eines dieser Netze gibt es nicht mehr. Laden Sie die Seite neu.",
  "error.bad-request.publicKey": "Ein öffentlicher Schlüssel hat 44 Zeichen in Base64 (32 Byte).",
  "error.bad-request.owner": "Wählen Sie, wem das Gerät gehört.",
  "error.bad-request.user": "Wählen Sie einen Benutzer.",
  "error.bad-request.expiresAt":
    "Wählen Sie Datum und Uhrzeit. Eine Einladung läuft in höchstens 90 Tagen ab.",
  "error.bad-request.reason": "Ein Grund hat bis zu 200 Zeichen.",
  "error.bad-request.email": "Schreiben Sie eine E-Mail-Adresse, etwa anna@example.org.",
  "error.bad-request.groups":
    "Eine dieser Gruppen gibt es nicht mehr, oder ihr Anmeldedienst entscheidet, wer darin ist.",
  "error.bad-request.maxDevices": "Schreiben Sie eine ganze Zahl von Geräten.",
  "error.bad-request.external":
    "Schreiben Sie den Namen der Gruppe beim Anmeldedienst, mit bis zu 500 Zeichen.",
  "error.bad-request.url":
    "Schreiben Sie die Adresse des Verzeichnisses, etwa ldaps://directory.example.org.",
  "error.bad-request.ca": "Das ist kein Zertifikat im PEM-Format.",
  "error.bad-request.bindDn": "Schreiben Sie den DN des Kontos, das sucht, etwa cn=wgd,dc=example,dc=org.",
  "error.bad-request.baseDn": "Schreiben Sie, wo die Personen sind, etwa dc=example,dc=org.",
  "error.bad-request.userFilter": "Das ist kein LDAP-Filter. Schreiben Sie einen wie (objectClass=person).",
  "error.bad-request.nameAttribute": "Schreiben Sie den Namen eines Attributs, etwa uid.",
  "error.bad-request.groupBaseDn": "Schreiben Sie, wo die Gruppen sind, etwa ou=groups,dc=example,dc=org.",
  "error.bad-request.startTls":
    "Ohne TLS können andere die Passwörter lesen: Schalten Sie StartTLS ein oder nehmen Sie ldaps://.",
  "error.bad-request.issuer": "Schreiben Sie die Adresse des Anmeldedienstes, etwa https://id.example.org.",
  "error.bad-request.clientId":
    "Schreiben Sie die Client-ID, die der Anmeldedienst diesem Server gegeben hat.",
  "error.bad-request.scopes": "Schreiben Sie Scopes, durch Leerzeichen getrennt.",
  "error.bad-request.groupsClaim": "Schreiben Sie den Namen eines Claims, etwa groups.",
  "error.taken": "Das gibt es schon.",
  "error.taken.name": "Diesen Namen gibt es schon.",
  "error.taken.routedNetworks":
    "Eines dieser Netze überschneidet sich mit dem eines anderen Geräts oder dieses Servers.",
  "routedNetworks.no-network":
    "{network} ist kein Netz. Geben Sie eines wie 192.168.7.0/24 oder fd07::/64 ein.",
  "routedNetworks.too-large": "{network} ist zu groß. Die Präfixlänge muss mindestens 8 sein.",
  "routedNetworks.reserved": "{network} ist reserviert. Es kann nicht hinter einem Gerät sein.",
  "routedNetworks.too-large-together": "Diese Netze sind zusammen ein zu großer Teil des Internets.",
  "routedNetworks.needs-one": "Dieses Gerät hat keine Adresse. Es braucht deshalb mindestens ein Netz.",
  "routedNetworks.overlaps-list": "{network} überschneidet sich mit {other}, das auch in dieser Liste steht.",
  "routedNetworks.overlaps-device":
    "{network} überschneidet sich mit {other}, das hinter dem Gerät {name} ist.",
  "routedNetworks.overlaps-network":
    "{network} überschneidet sich mit {other}, das zum Netz {name} dieses Servers gehört.",
  "error.taken.address": "Ein anderes Netz hat einen Teil dieser Adressen.",
  "error.taken.addresses": "Eine dieser Adressen ist nicht frei.",
  "error.taken.interface": "Ein anderes Netz hat diese Schnittstelle.",
  "error.taken.publicKey": "Das Netz hat schon ein Gerät mit diesem öffentlichen Schlüssel.",
  "error.taken.source": "Für diese Gruppe des Anmeldedienstes gibt es schon eine Gruppe.",
  "error.keeper": "Die Schnittstelle konnte nicht geändert werden. Das Protokoll von wgd web sagt, warum.",
  "error.too-slow": "Die Anfrage brauchte zu lange. Versuchen Sie es noch einmal.",
  "error.cut-off": "Die Anfrage wurde abgeschnitten. Versuchen Sie es noch einmal.",
  "error.title": "Das hat nicht geklappt",
};
