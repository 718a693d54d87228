/**
 * The error at the limit of a tunnel's connections.
 *
 * @module
 */

/** No connection is possible until another one ends. The peer has not been asked. */
export class TooManyConnections extends Deno.errors.ConnectionRefused {
  constructor() {
    super("the tunnel has reached its limit of connections (maxConnections)");
  }
}
