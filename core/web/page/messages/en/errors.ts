/**
 * English texts: requests that the server refuses.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const ERRORS = {
  "error.no-answer": "The server does not answer. Check your connection and try again.",
  "error.failed": "The server could not do this ({status}).",
  "error.wrong-sign-in": "The name or the password is wrong.",
  "error.too-many-devices": "You have reached your limit of devices. Remove one first.",
  "error.no-password": "Your sign-in provider manages your password and second factor.",
  "error.provider-unavailable": "The directory or provider does not answer at the moment. Try again later.",
  "error.wrong-code": "The code is wrong.",
  "error.wrong-password": "The password is wrong.",
  "error.account-disabled": "This account is disabled or has expired. Ask your administrator.",
  "error.not-allowed": "You may not do this.",
  "error.not-found": "This no longer exists.",
  "error.secret-needed": "The address has changed: enter the secret again.",
  "error.last-admin": "This would leave the server without an administrator.",
  "error.network-full": "The network has no free address left.",
  "error.no-invitation": "This link has already been used or has expired.",
  "error.no-setup": "The setup took too long. Begin again.",
  "error.setup-refused": "This setup link has already been used, or a newer one has replaced it.",
  "error.fault": "Something went wrong. See the log of wgd web.",
  "error.database": "The database cannot be used at the moment. See the log of wgd web.",
  "error.second-factor-lost":
    "The server can no longer check second factors. Ask an administrator to turn yours off.",
  "error.too-many-attempts": "Too many attempts. Wait a minute and try again.",
  "error.busy": "The server has too much to do at the moment. Try again in a few seconds.",
  "error.code-needed": "Also enter the code from your authenticator app.",
  "error.foreign-origin": "This request does not come from this server’s own page. Load the page again.",
  "error.not-signed-in": "Sign in again.",
  "error.not-json": "The server did not understand the request. Load the page again.",
  "error.too-long": "This is too long for the server.",
  "error.weak-password":
    "The password must have at least ten characters, with at least four different ones, and must not be the name.",
  "error.no-totp": "There is no second factor.",
  "error.no-directory": "Only directories can be compared.",
  "error.bad-request": "The server cannot use these values.",
  "error.bad-request.token": "This link is incomplete. Open the whole link.",
  "error.bad-request.name":
    "A name has up to 64 characters on one line, without spaces at either end. A network is named after its interface: up to 15 letters and digits, such as wg0.",
  "error.bad-request.password": "The password must have at least ten characters.",
  "error.bad-request.old": "Enter your current password.",
  "error.bad-request.new": "The password must have at least ten characters.",
  "error.bad-request.secret": "The secret can have up to 2,000 characters.",
  "error.bad-request.address":
    "Enter an address with its prefix length, such as 10.8.0.1/24. The subnet must have addresses for devices.",
  "error.bad-request.addresses":
    "Enter addresses with their prefix length, such as 10.8.0.1/24. The subnets must have addresses for devices.",
  "error.bad-request.endpoint":
    "Enter a host name or an address, with a port if it is not 51820: vpn.example.org:51820 or [2001:db8::1]:51820.",
  "error.bad-request.dns": "Enter addresses of DNS servers, or domains.",
  "error.bad-request.allowedIps": "Enter networks such as 10.8.0.0/24 or 0.0.0.0/0.",
  "error.bad-request.routedNetworks": "Enter up to 64 networks such as 192.168.7.0/24.",
  "error.bad-request.mtu": "The MTU must be a number from 576 to 65535.",
  "error.bad-request.keepalive": "Enter a number of seconds from 1 to 65535.",
  "error.bad-request.provider": "This sign-in provider no longer exists. Load the page again.",
  "error.bad-request.code": "The code must have six digits.",
  "error.bad-request.network": "Choose a network.",
  "error.bad-request.networks": "One of these networks no longer exists. Load the page again.",
  "error.bad-request.publicKey": "A public key has 44 characters of base64 (32 bytes).",
  "error.bad-request.owner": "Choose an owner.",
  "error.bad-request.user": "Choose a user.",
  "error.bad-request.expiresAt": "Choose a date and a time. An invitation expires within 90 days.",
  "error.bad-request.reason": "The reason can have up to 200 characters.",
  "error.bad-request.email": "Enter an e-mail address, such as anna@example.org.",
  "error.bad-request.groups": "One of these groups no longer exists, or a provider manages its members.",
  "error.bad-request.maxDevices": "Enter a whole number of devices.",
  "error.bad-request.external": "Enter the group’s name at the provider, with up to 500 characters.",
  "error.bad-request.url": "Enter the directory’s address, such as ldaps://directory.example.org.",
  "error.bad-request.ca": "This is not a certificate in PEM format.",
  "error.bad-request.bindDn":
    "Enter the DN of the account that reads the directory, such as cn=wgd,dc=example,dc=org.",
  "error.bad-request.baseDn": "Enter the DN below which the people are, such as dc=example,dc=org.",
  "error.bad-request.userFilter": "This is not an LDAP filter. Enter one such as (objectClass=person).",
  "error.bad-request.nameAttribute": "Enter the name of an attribute, such as uid.",
  "error.bad-request.groupBaseDn":
    "Enter the DN below which the groups are, such as ou=groups,dc=example,dc=org.",
  "error.bad-request.startTls":
    "Without TLS, others on the network can read the passwords. Turn StartTLS on, or use ldaps://.",
  "error.bad-request.issuer": "Enter the provider’s address, such as https://id.example.org.",
  "error.bad-request.clientId": "Enter the client ID that the provider has given to this server.",
  "error.bad-request.scopes": "Enter scopes, separated by spaces.",
  "error.bad-request.groupsClaim": "Enter the name of a claim, such as groups.",
  "error.taken": "This already exists.",
  "error.taken.name": "This name is already in use.",
  "error.taken.routedNetworks":
    "One of these networks overlaps another device’s, or a network of this server.",
  "routedNetworks.no-network": "{network} is not a network. Enter one such as 192.168.7.0/24 or fd07::/64.",
  "routedNetworks.too-large": "{network} is too large. The prefix length must be 8 or more.",
  "routedNetworks.reserved": "{network} is reserved. It cannot be behind a device.",
  "routedNetworks.too-large-together": "These networks together are too large a part of the Internet.",
  "routedNetworks.needs-one": "This device has no address, so it needs at least one network.",
  "routedNetworks.overlaps-list": "{network} overlaps {other}, which is also in this list.",
  "routedNetworks.overlaps-device": "{network} overlaps {other}, which is behind the device {name}.",
  "routedNetworks.overlaps-network":
    "{network} overlaps {other}, which belongs to this server’s network {name}.",
  "error.taken.address": "Another network uses some of these addresses.",
  "error.taken.addresses": "One of these addresses is already in use.",
  "error.taken.interface": "Another network uses this interface.",
  "error.taken.publicKey": "A device of this network already has this public key.",
  "error.taken.source": "There is already a group for this group of the provider.",
  "error.keeper": "The interface could not be changed. The log of wgd web says why.",
  "error.too-slow": "The request took too long to arrive. Try again.",
  "error.cut-off": "The request was cut off. Try again.",
  "error.title": "This did not work",
} as const satisfies Record<string, Message>;
