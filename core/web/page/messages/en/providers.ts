/**
 * English texts: sign-in providers, what they answer, and why they cannot be used.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const PROVIDERS = {
  "providers.add-ldap": "Add LDAP",
  "providers.add-oidc": "Add OpenID Connect",
  "providers.empty":
    "People sign in with accounts of this server. Add LDAP or OpenID Connect to let them use the account they have.",
  "providers.name": "Name on the button",
  "providers.shape": "Type of directory",
  "providers.url": "Server",
  "providers.url-hint": "ldaps://host or ldap://host",
  "providers.start-tls": "Encrypt with StartTLS",
  "providers.ca": "CA certificate",
  "providers.ca-hint": "PEM. Leave empty to trust the authorities that browsers trust.",
  "providers.bind-dn": "Account that reads the directory",
  "providers.bind-password": "Its password",
  "providers.base": "Base DN of people",
  "providers.filter": "Filter for people",
  "providers.group-base": "Base DN of groups",
  "providers.name-attribute": "Attribute with the name for signing in",
  "providers.name-attribute-hint": "Usually uid, or sAMAccountName in Active Directory.",
  "providers.groups-by": "Where groups are read",
  "providers.groups-by-shape": "Default for this type of directory",
  "providers.groups-by-member-of": "In the entry of the person (memberOf)",
  "providers.groups-by-member": "In the entry of the group (member)",
  "providers.enabled": "People can sign in with it",
  "providers.off": "off",
  "providers.not-compared": "Not compared with the directory yet.",
  "providers.compared": "Compared {when}",
  "providers.compare": "Compare now",
  "providers.confirm": "Cut them off",
  "providers.confirm-title": "Cut off so many users at once?",
  "providers.confirm-text":
    "Confirm this if the directory is right. Their tunnels are cut now, and work again when the users are back in the directory.",
  "providers.issuer": "Issuer",
  "providers.issuer-hint": "The address below which /.well-known/openid-configuration is found.",
  "providers.client-id": "Client ID",
  "providers.client-secret": "Client secret",
  "providers.groups-claim": "Claim with the groups",
  "providers.redirect": "Redirect address to register there",
  "providers.try": "Try it",
  "providers.try-name": "Name of a person",
  "providers.try-entry": "Entry found",
  "providers.try-groups": "Groups",
  "providers.try-decision": "Decision",
  "providers.remove-title": "Remove {name}?",
  "providers.remove-text": "People who sign in with it can no longer do so.",
  "providers.secret-kept": "Leave empty to keep the current one.",

  "sync.nobody-yet": "Nobody has signed in with it yet.",
  "sync.compared": "{found} of {known} users are in the directory.",
  "sync.nobody":
    "The directory returned no users. Nothing is changed: {cut} of {known} users would lose access.",
  "sync.most":
    "More than half of the users would lose access: {cut} of {known}. Nothing is changed until you confirm it.",

  "try.user": "{name} may sign in as a user, with devices in {networks}.",
  "try.user-alone": "{name} may sign in as a user, but none of their groups gives access to a network.",
  "try.admin": "{name} may sign in as an administrator, with devices in {networks}.",
  "try.admin-alone": "{name} may sign in as an administrator, but there is no network.",
  "try.disabled": "{name} may not sign in: the account is disabled in the directory.",
  "try.expired": "{name} may not sign in: the account has expired in the directory.",
  "try.locked": "{name} may not sign in: the account is locked in the directory.",
  "try.disabled-here": "{name} may not sign in: an administrator of this server has disabled the account.",
  "try.no-people":
    "No entry is found below {base} with {filter}. Check the base DN, the filter, and the rights of the searching account.",
  "try.no-match":
    "No entry below {base}, or more than one, matches {filter} and has the {attribute} “{name}”.",
  "try.not-yet":
    "The provider answers; people sign in at {address}. It provides data about {name} only when they sign in, and they have not done so yet.",

  "fault.secret-lost":
    "The server can no longer read the stored password, because its file secrets.key was replaced. Enter the password again.",
  "fault.failed": "The comparison failed. The log of wgd web says why.",
  "fault.refused": "{server} refuses the connection. Is the server running, and is the port right?",
  "fault.unreachable": "There is no route to {server}.",
  "fault.no-name": "No address is known for the name {host}.",
  "fault.no-answer": "{server} does not answer in time. A firewall may drop the packets.",
  "fault.lost": "{server} closed the connection. Is the address right, and does the server use TLS there?",
  "fault.certificate-expired": "The certificate of {server} has expired, or is not valid yet.",
  "fault.certificate-name":
    "The certificate of {server} is for another name. Enter the name that is in the certificate.",
  "fault.certificate-authority":
    "The certificate of {server} is from an authority that this server does not trust. Enter the CA certificate.",
  "fault.no-tls": "No encrypted connection to {server} is possible: {detail}",
  "fault.no-start-tls": "{server} does not offer StartTLS. Use ldaps:// instead.",
  "fault.tls-required": "The directory requires an encrypted connection. Turn StartTLS on, or use ldaps://.",
  "fault.no-password": "The password of {account} is missing.",
  "fault.wrong-account":
    "The directory does not accept the account {account}. Its name or its password is wrong.",
  "fault.no-base": "There is no {base} in the directory, or the searching account may not see it.",
  "fault.no-rights": "The searching account may not read {base}.",
  "fault.limited": "The directory did not return all entries, because of one of its limits.",
  "fault.busy": "The directory is busy or not available at the moment.",
  "fault.members-in-parts":
    "The directory returns the members of a group in parts. Read the groups in the entry of the person (memberOf).",
  "fault.directory": "The directory reports an error: {detail}",
  "fault.issuer": "{issuer} is not the address of an issuer, such as https://id.example.org.",
  "fault.status": "{address} answers with status {status}. Is the issuer right?",
  "fault.no-json": "{address} is not the configuration of an OpenID provider. Is the issuer right?",
  "fault.other-issuer": "The provider is {other}, not {issuer}. Enter the issuer as the provider writes it.",
  "fault.incomplete-provider": "The provider’s configuration lacks {field}.",
  "fault.provider": "The provider’s configuration cannot be read: {detail}",
} as const satisfies Record<string, Message>;
