/**
 * Where things are on disk. The folder belongs to root, so that the web process can put nothing in the keeper's place.
 *
 * @module
 */

/** The folder of an installed server. */
export const DATA = "/var/lib/wgd";

/** The store, certificates, and all else that belongs to the web process. */
export function webFolder(data: string): string {
  return `${data}/web`;
}

/** The database. */
export function databaseFile(data: string): string {
  return `${webFolder(data)}/wgd.db`;
}

/** Says where the database is, if it is not that file. Root's, so that the web process cannot lead root elsewhere. */
export function databaseChoice(data: string): string {
  return `${data}/database`;
}

/** Passwords of databases, as PostgreSQL's own programs keep them in `~/.pgpass`. */
export function passwordFile(data: string): string {
  return `${webFolder(data)}/pgpass`;
}

/** Keys of interfaces; for root alone. */
export function keeperFolder(data: string): string {
  return `${data}/keeper`;
}

/**
 * The keeper's socket. An installed server has it where sockets belong: in `/run` itself, since `/run/wgd` is for root
 * alone and the web process is another user.
 */
export function keeperSocket(data: string): string {
  return data === DATA ? "/run/wgd-keeper.sock" : `${data}/keeper.sock`;
}

/** The key of the certificate authority; for root alone. */
export function authorityKey(data: string): string {
  return `${keeperFolder(data)}/ca.key`;
}

/** The certificate of the authority; for everybody. */
export function authorityCertificate(data: string): string {
  return `${data}/ca.pem`;
}

/** The certificate of the page with its key; for root alone. */
export function pageCertificate(data: string): string {
  return `${keeperFolder(data)}/certificate.json`;
}
