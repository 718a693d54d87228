/**
 * German texts: sign-in providers, what they answer, and why they cannot be used.
 *
 * @module
 */

import type { PROVIDERS as ENGLISH } from "../en/providers.ts";
import type { Translated } from "../message.ts";

/** German. */
export const PROVIDERS: Translated<typeof ENGLISH> = {
  "providers.add-ldap": "LDAP hinzufügen",
  "providers.add-oidc": "OpenID Connect hinzufügen",
  "providers.empty":
    "Personen melden sich mit Konten dieses Servers an. Mit LDAP oder OpenID Connect können sie das Konto benutzen, das sie haben.",
  "providers.name": "Name auf dem Knopf",
  "providers.shape": "Art des Verzeichnisses",
  "providers.url": "Server",
  "providers.url-hint": "ldaps://rechner oder ldap://rechner",
  "providers.start-tls": "Mit StartTLS verschlüsseln",
  "providers.ca": "CA-Zertifikat",
  "providers.ca-hint": "PEM. Leer heißt: den Stellen vertrauen, denen Browser vertrauen.",
  "providers.bind-dn": "Konto, das das Verzeichnis liest",
  "providers.bind-password": "Sein Passwort",
  "providers.base": "Wo die Personen stehen",
  "providers.filter": "Filter für Personen",
  "providers.group-base": "Wo die Gruppen stehen",
  "providers.name-attribute": "Attribut, das Personen als Namen eingeben",
  "providers.name-attribute-hint": "Meist uid, in Active Directory sAMAccountName.",
  "providers.groups-by": "Wo Gruppen gelesen werden",
  "providers.groups-by-shape": "Wie bei dieser Art von Verzeichnis üblich",
  "providers.groups-by-member-of": "Bei der Person (memberOf)",
  "providers.groups-by-member": "Bei der Gruppe (member)",
  "providers.enabled": "Personen können sich damit anmelden",
  "providers.off": "aus",
  "providers.not-compared": "Noch nicht mit dem Verzeichnis verglichen.",
  "providers.compared": "{when} verglichen",
  "providers.compare": "Jetzt vergleichen",
  "providers.confirm": "Trennen",
  "providers.confirm-title": "So viele auf einmal trennen?",
  "providers.confirm-text":
    "Wenn das Verzeichnis recht hat, werden ihre Tunnel jetzt getrennt. Sie kommen wieder, sobald sie dort wieder da sind.",
  "providers.issuer": "Aussteller (Issuer)",
  "providers.issuer-hint": "Die Adresse, unter der /.well-known/openid-configuration liegt.",
  "providers.client-id": "Client-ID",
  "providers.client-secret": "Client-Geheimnis",
  "providers.groups-claim": "Claim mit den Gruppen",
  "providers.redirect": "Rücksprungadresse, die dort einzutragen ist",
  "providers.try": "Ausprobieren",
  "providers.try-name": "Name einer Person",
  "providers.try-entry": "Gefundener Eintrag",
  "providers.try-groups": "Gruppen",
  "providers.try-decision": "Entscheidung",
  "providers.remove-title": "{name} entfernen?",
  "providers.remove-text": "Wer sich damit anmeldet, kann es dann nicht mehr.",
  "providers.secret-kept": "Leer lassen, um das jetzige zu behalten.",

  "sync.nobody-yet": "Noch niemand hat sich damit angemeldet.",
  "sync.compared": "{found} von {known} Benutzern stehen im Verzeichnis.",
  "sync.nobody":
    "Das Verzeichnis zeigt überhaupt niemanden. Nichts wird geändert: {cut} von {known} Benutzern verlören den Zugang.",
  "sync.most":
    "Mehr als die Hälfte der Benutzer verlöre den Zugang: {cut} von {known}. Nichts wird geändert, bis Sie es bestätigen.",

  "try.user": "{name} darf sich als Benutzer anmelden und Geräte in {networks} haben.",
  "try.user-alone": "{name} darf sich als Benutzer anmelden, aber keine Gruppe gibt ein Netz.",
  "try.admin": "{name} darf sich als Verwaltung anmelden und Geräte in {networks} haben.",
  "try.admin-alone": "{name} darf sich als Verwaltung anmelden, aber es gibt kein Netz.",
  "try.disabled": "{name} darf sich nicht anmelden: Das Konto ist im Verzeichnis gesperrt.",
  "try.expired": "{name} darf sich nicht anmelden: Das Konto ist im Verzeichnis abgelaufen.",
  "try.locked": "{name} darf sich nicht anmelden: Das Konto ist im Verzeichnis verriegelt.",
  "try.disabled-here":
    "{name} darf sich nicht anmelden: Die Verwaltung dieses Servers hat das Konto gesperrt.",
  "try.no-people":
    "Unter {base} findet {filter} überhaupt niemanden. Prüfen Sie die Basis-DN, den Filter und was das lesende Konto sehen darf.",
  "try.no-match":
    "Niemand oder mehr als einer unter {base} passt auf {filter} und hat als {attribute} „{name}“.",
  "try.not-yet":
    "Der Anbieter antwortet; Personen melden sich unter {address} an. Über {name} sagt er erst bei der Anmeldung etwas, und die gab es noch nicht.",

  "fault.secret-lost":
    "Der Server kann das gespeicherte Passwort nicht mehr lesen: seine Datei secrets.key ist eine andere. Geben Sie das Passwort neu ein.",
  "fault.failed": "Der Vergleich ist gescheitert. Das Protokoll von wgd web sagt, warum.",
  "fault.refused": "{server} nimmt keine Verbindung an. Läuft der Server, und stimmt der Port?",
  "fault.unreachable": "Es gibt keinen Weg zu {server}.",
  "fault.no-name": "Für den Namen {host} ist keine Adresse bekannt.",
  "fault.no-answer": "{server} antwortet nicht rechtzeitig. Vielleicht verwirft eine Firewall die Pakete.",
  "fault.lost":
    "{server} hat die Verbindung geschlossen. Stimmt die Adresse, und spricht der Server dort TLS?",
  "fault.certificate-expired": "Das Zertifikat von {server} ist abgelaufen oder noch nicht gültig.",
  "fault.certificate-name":
    "Das Zertifikat von {server} gilt für einen anderen Namen. Geben Sie den Namen ein, der im Zertifikat steht.",
  "fault.certificate-authority":
    "Das Zertifikat von {server} stammt von einer Stelle, der dieser Server nicht vertraut. Geben Sie das CA-Zertifikat ein.",
  "fault.no-tls": "Mit {server} kommt keine verschlüsselte Verbindung zustande: {detail}",
  "fault.no-start-tls": "{server} bietet kein StartTLS an. Nehmen Sie ldaps://.",
  "fault.tls-required":
    "Das Verzeichnis verlangt eine verschlüsselte Verbindung. Schalten Sie StartTLS ein oder nehmen Sie ldaps://.",
  "fault.no-password": "Das Passwort von {account} fehlt.",
  "fault.wrong-account":
    "Das Verzeichnis lehnt das Konto {account} ab. Der Name oder das Passwort ist falsch.",
  "fault.no-base": "Im Verzeichnis gibt es {base} nicht, oder das suchende Konto darf es nicht sehen.",
  "fault.no-rights": "Das suchende Konto darf {base} nicht lesen.",
  "fault.limited":
    "Das Verzeichnis hat nicht alle Einträge geliefert, weil eine seiner Grenzen erreicht ist.",
  "fault.busy": "Das Verzeichnis ist gerade überlastet oder nicht verfügbar.",
  "fault.members-in-parts":
    "Das Verzeichnis liefert die Mitglieder einer Gruppe in Teilen. Lesen Sie die Gruppen im Eintrag der Person (memberOf).",
  "fault.directory": "Das Verzeichnis meldet einen Fehler: {detail}",
  "fault.issuer": "{issuer} ist keine Adresse eines Ausstellers wie https://id.example.org.",
  "fault.status": "{address} antwortet mit dem Status {status}. Stimmt der Aussteller?",
  "fault.no-json": "{address} ist keine Konfiguration eines OpenID-Anbieters. Stimmt der Aussteller?",
  "fault.other-issuer":
    "Der Anbieter heißt {other}, nicht {issuer}. Geben Sie den Aussteller so ein, wie der Anbieter ihn schreibt.",
  "fault.incomplete-provider": "In der Konfiguration des Anbieters fehlt {field}.",
  "fault.provider": "Die Konfiguration des Anbieters lässt sich nicht lesen: {detail}",
};
