/**
 * A private authority, and a server of the lab with its certificate.
 *
 * @module
 */

import { FOLDER, NAME, type NamedServer, serve } from "./named_server.ts";

/** The authority's certificate, on both hosts. */
export const AUTHORITY = `${FOLDER}/authority.pem`;

/** Starts a page over TLS with a certificate for the server's name. It needs `openssl`. */
export async function serveSecurely({ user, server }: NamedServer): Promise<void> {
  await server.sh(`
    cd ${FOLDER} && umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=authority \
      -keyout authority.key -out authority.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${NAME} -keyout server.key -out server.csr
    printf 'subjectAltName = DNS:${NAME}\\nbasicConstraints = CA:FALSE\\n' > extensions
    openssl x509 -req -days 1 -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
      -extfile extensions -out server.pem`);
  await serve(server, "secure_server.ts", "10.8.0.1", `${FOLDER}/server.pem`, `${FOLDER}/server.key`);
  await Deno.copyFile(server.path(AUTHORITY), user.path(AUTHORITY));
}
