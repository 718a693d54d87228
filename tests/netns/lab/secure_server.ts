/**
 * A server that speaks TLS on a host of the lab, over the kernel's own TCP: a page over HTTP/1.1 and HTTP/2, and a WebSocket
 * that echoes. Its arguments are its address, its certificate and its key.
 *
 * @module
 */

const [hostname = "0.0.0.0", cert = "", key = ""] = Deno.args;

Deno.serve({
  hostname,
  port: 443,
  cert: Deno.readTextFileSync(cert),
  key: Deno.readTextFileSync(key),
  onListen: () => console.log("ready"),
}, async (request) => {
  if (request.headers.get("upgrade") === "websocket") {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  }
  return request.method === "POST" ? new Response(await request.arrayBuffer()) : new Response("secure");
});
