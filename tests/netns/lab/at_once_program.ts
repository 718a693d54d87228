/**
 * Sends requests at the same time: all over one HTTP/2 connection, so that the server gets them in the same moment.
 * web_race_test.ts runs it. Its argument is the certificate of the server's authority. Its input is the requests as
 * JSON. It prints the responses in the same order.
 *
 * @module
 */

const [ca = ""] = Deno.args;
const requests: { url: string; method: string; headers: Record<string, string>; body?: string }[] = JSON
  .parse(
    await new Response(Deno.stdin.readable).text(),
  );
using client = Deno.createHttpClient({ caCerts: [Deno.readTextFileSync(ca)] });
// The connection is opened first.
await (await fetch(new URL("/", requests[0]!.url), { client })).body?.cancel();
const answers = await Promise.all(requests.map(async ({ url, ...request }) => {
  const response = await fetch(url, { ...request, client });
  const text = await response.text();
  return { status: response.status, body: /^[[{]/.test(text) ? JSON.parse(text) : text };
}));
console.log(JSON.stringify(answers));
