/**
 * Sends requests at once: all over one connection of HTTP/2, so that the server has them in the same moment. Run by
 * web_race_test.ts. Its argument is the file of the server's authority; its input are the requests as JSON, and it prints
 * their answers in the same order.
 *
 * @module
 */

const [ca = ""] = Deno.args;
const requests: { url: string; method: string; headers: Record<string, string>; body?: string }[] = JSON
  .parse(
    await new Response(Deno.stdin.readable).text(),
  );
using client = Deno.createHttpClient({ caCerts: [Deno.readTextFileSync(ca)] });
// The connection is there before.
await (await fetch(new URL("/", requests[0]!.url), { client })).body?.cancel();
const answers = await Promise.all(requests.map(async ({ url, ...request }) => {
  const response = await fetch(url, { ...request, client });
  const text = await response.text();
  return { status: response.status, body: /^[[{]/.test(text) ? JSON.parse(text) : text };
}));
console.log(JSON.stringify(answers));
