/**
 * The paths of a server's files. The folder belongs to root, so that the web process cannot replace the keeper's files.
 *
 * @module
 */

/** The folder of an installed server. */
export const DATA = "/var/lib/wgd";

/** The store, certificates, and all other files of the web process. */
export function webFolder(data: string): string {
  return `${data}/web`;
}

/** The database. */
export function databaseFile(data: string): string {
  return `${webFolder(data)}/wgd.db`;
}

/**
 * Contains the URL of the database, if it is not a file. It belongs to root, so that the web process cannot redirect
 * root.
 */
export function databaseChoice(data: string): string {
  return `${data}/database`;
}

/** Passwords of databases, in the format of `~/.pgpass` of PostgreSQL. */
export function passwordFile(data: string): string {
  return `${webFolder(data)}/pgpass`;
}

/** Keys of interfaces. Only root can read them. */
export function keeperFolder(data: string): string {
  return `${data}/keeper`;
}

/**
 * The keeper's socket. For an installed server it is in `/run`. It is not in `/run/wgd`, because only root can use that
 * folder and the web process is another user.
 */
export function keeperSocket(data: string): string {
  return data === DATA ? "/run/wgd-keeper.sock" : `${data}/keeper.sock`;
}

/** The key of the certificate authority. Only root can read it. */
export function authorityKey(data: string): string {
  return `${keeperFolder(data)}/ca.key`;
}

/** The certificate of the authority. Everybody can read it. */
export function authorityCertificate(data: string): string {
  return `${data}/ca.pem`;
}

/** The certificate of the page with its key. Only root can read it. */
export function pageCertificate(data: string): string {
  return `${keeperFolder(data)}/certificate.json`;
}
