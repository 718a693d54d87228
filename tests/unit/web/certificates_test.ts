/**
 * Certificates of the page: the keeper's own, and their renewal while the server runs.
 *
 * @module
 */

import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:tls";
import { ServedCertificate } from "../../../core/web/certificate.ts";
import { Authority, type Certificate, fingerprint } from "../../../core/web/keeper/certificates.ts";
import { KeptCertificate } from "../../../core/web/keeper/kept_certificate.ts";
import { RequestCount, serveMetrics } from "../../../core/web/metrics.ts";
import { DatabaseError } from "../../../core/web/store/errors.ts";
import { serveApp } from "../../../core/web/server.ts";
import { prepareNoDelay } from "../../../ffi/linux/no_delay.ts";
import { SO_ACCEPTCONN, SOL_SOCKET, SOL_TCP, TCP_NODELAY } from "../../../ffi/linux/constants.ts";
import { getOption } from "../../../ffi/linux/socket_options.ts";
import { serverNames } from "../../../core/web/server_names.ts";
import { World } from "./world.ts";

const DAY = 86_400_000;

const sendWithoutDelay = prepareNoDelay();

/** Of each listening TCP socket of this process, whether it sends segments without delay. */
function noDelay(): number[] {
  return Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => Number(name))
    .filter((fd) => getOption(fd, SOL_SOCKET, SO_ACCEPTCONN) === 1)
    .map((fd) => getOption(fd, SOL_TCP, TCP_NODELAY))
    .filter((value) => value >= 0);
}

/** A new authority in a folder of its own. */
async function inFolder(
  test: (authority: Authority, folder: string, now: number) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const now = Date.now();
    await test(await Authority.open(`${folder}/ca.key`, `${folder}/ca.pem`, now), folder, now);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a certificate is kept until a month before it expires, and contains names and addresses", async () => {
  await inFolder(async (authority, folder, now) => {
    const names = ["vpn.example", "192.0.2.1", "2001:db8::1"];
    const kept = () => new KeptCertificate(`${folder}/certificate.json`, authority);
    const first = await kept().get(names, now);
    const x509 = new X509Certificate(first.chain);
    ok(x509.checkHost("vpn.example") && x509.checkIP("192.0.2.1") && x509.checkIP("2001:db8::1"));
    ok(x509.verify(new X509Certificate(authority.certificate).publicKey));
    equal((await Deno.stat(`${folder}/certificate.json`)).mode! & 0o777, 0o600);

    const end = x509.validToDate.getTime();
    equal((await kept().get(["vpn.example"], end - 31 * DAY)).chain, first.chain);
    notEqual((await kept().get(names, end - 29 * DAY)).chain, first.chain);
  });
});

Deno.test("another name, another authority or a broken file causes a new certificate", async () => {
  await inFolder(async (authority, folder, now) => {
    const path = `${folder}/certificate.json`;
    const first = await new KeptCertificate(path, authority).get(["one.example"], now);
    const second = await new KeptCertificate(path, authority).get(["one.example", "two.example"], now);
    notEqual(second.chain, first.chain);
    ok(new X509Certificate(second.chain).checkHost("two.example"));

    const other = await Authority.open(`${folder}/other.key`, `${folder}/other.pem`, now);
    const third = await new KeptCertificate(path, other).get(["one.example"], now);
    ok(new X509Certificate(third.chain).verify(new X509Certificate(other.certificate).publicKey));

    await Deno.writeTextFile(path, "{");
    ok((await new KeptCertificate(path, other).get(["one.example"], now)).chain.startsWith("-----BEGIN"));
  });
});

Deno.test("the certificate is the same whether its tunnels are up or not, and after the suggested set-up", async () => {
  await inFolder(async (authority, folder, now) => {
    const listen = { hostname: "0.0.0.0" };
    const network = { endpoint: "192.0.2.1:51820", addresses: ["10.8.0.1/24"] };
    const down = ["127.0.0.1", "::1", "192.0.2.1", "fe80::1%eth0"];
    const up = [...down, "10.8.0.1"];
    const shown = async (networks: (typeof network)[], addresses: string[]) => {
      const names = serverNames(listen, networks, { hostname: "server", addresses });
      return (await new KeptCertificate(`${folder}/certificate.json`, authority).get(names, now)).chain;
    };
    const first = await shown([], down);
    equal(await shown([network], down), first);
    equal(await shown([network], up), first);
    equal(await shown([network], down), first);
    const moved = await shown([{ ...network, endpoint: "vpn.example:51820" }], up);
    ok(new X509Certificate(moved).checkHost("vpn.example"), "a host that it does not name causes a new one");
    equal(await shown([network], up), moved, "a name too many causes none");
  });
});

/** The fingerprint that a new connection is shown. */
async function shown(port: number): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const found = (socket.getPeerCertificate() as { fingerprint256: string }).fingerprint256;
  socket.destroy();
  return found;
}

Deno.test("a new certificate is used for new connections, and pending responses are finished", async () => {
  await inFolder(async (authority, _folder, now) => {
    const [old, renewed] = [1, 2].map(() => authority.issue(["localhost", "127.0.0.1"], now)) as [
      Certificate,
      Certificate,
    ];
    const feed = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>>();
    const app = {
      fetch: (request: Request) =>
        Promise.resolve(
          request.url.endsWith("/live")
            ? new Response(new ReadableStream({ start: (controller) => feed.resolve(controller) }))
            : new Response("page"),
        ),
    };
    const server = serveApp(
      app,
      { hostname: "127.0.0.1", port: 0 },
      { certificate: old, sendWithoutDelay },
      () => {},
    );
    const { port } = server.address;
    deepEqual(new Set(noDelay()), new Set([1]));
    using client = Deno.createHttpClient({ caCerts: [authority.certificate] });
    const ask = async (path: string) => await fetch(`https://localhost:${port}${path}`, { client });

    const live = (await ask("/live")).body!.pipeThrough(new TextDecoderStream()).getReader();
    const controller = await feed.promise;
    const say = (text: string) => controller.enqueue(new TextEncoder().encode(text));
    say("before");
    equal((await live.read()).value, "before");
    equal(await shown(port), fingerprint(old.chain));

    await rejects(server.renew({ chain: old.chain, key: "no key" }));
    await server.renew(renewed);
    deepEqual(new Set(noDelay()), new Set([1]));
    equal(await shown(port), fingerprint(renewed.chain));
    say("after");
    equal((await live.read()).value, "after");
    for (let n = 0; n < 20; n++) {
      if (n % 2 === 0) await server.renew(n % 4 === 0 ? old : renewed);
      equal(await (await ask("/")).text(), "page");
    }
    controller.close();
    equal((await live.read()).done, true);
    await server.close();
  });
});

Deno.test("if another program takes the port during a renewal, the server waits for it and logs this once", async () => {
  await inFolder(async (authority, _folder, now) => {
    const [old, renewed] = [1, 2].map(() => authority.issue(["127.0.0.1"], now)) as [
      Certificate,
      Certificate,
    ];
    const log: string[] = [];
    const app = { fetch: () => Promise.resolve(new Response("page")) };
    const where = { hostname: "127.0.0.1", port: 0 };
    const server = serveApp(app, where, { certificate: old, sendWithoutDelay }, (text) => log.push(text));
    const { port } = server.address;
    const { serve } = Deno;
    let other: Deno.Listener | undefined;
    let attempts = 0;
    // It is faster than the renewal when the old server lets go of the port.
    Deno.serve = ((...args: Parameters<typeof serve>) => {
      attempts++;
      other ??= Deno.listen({ hostname: "127.0.0.1", port });
      return serve(...args);
    }) as typeof serve;
    try {
      const renewing = server.renew(renewed);
      while (server.problem === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
      match(server.problem, /the port is in use/);
      ok(attempts < 20, `it was tried ${attempts} times`);
      equal(log.length, 1, log.join("\n"));
      match(log[0]!, /nobody can connect now: listening at 127\.0\.0\.1:\d+ failed: the port is in use/);
      other!.close();
      await renewing;
      equal(server.problem, undefined);
      equal(await shown(port), fingerprint(renewed.chain));
      match(log[1]!, /listening at port \d+ again/);
    } finally {
      Deno.serve = serve;
      await server.close();
    }
  });
});

Deno.test("a renewal while the server waits for its port gives its certificate to the server that listens next", async () => {
  await inFolder(async (authority, _folder, now) => {
    const [old, second, third] = [1, 2, 3].map(() => authority.issue(["127.0.0.1"], now)) as [
      Certificate,
      Certificate,
      Certificate,
    ];
    const app = { fetch: () => Promise.resolve(new Response("page")) };
    const where = { hostname: "127.0.0.1", port: 0 };
    const server = serveApp(app, where, { certificate: old, sendWithoutDelay }, () => {});
    const { serve } = Deno;
    let taken = true;
    Deno.serve = ((...args: Parameters<typeof serve>) => {
      if (taken) throw new Deno.errors.AddrInUse("another program");
      return serve(...args);
    }) as typeof serve;
    try {
      const renewals = [server.renew(second)];
      while (server.problem === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
      renewals.push(server.renew(third));
      taken = false;
      // Closing the server ends a renewal that still waits.
      const late = setTimeout(() => server.close(), 15_000);
      await Promise.all(renewals);
      clearTimeout(late);
      equal(server.problem, undefined);
      equal(await shown(server.address.port), fingerprint(third.chain));
      await server.renew(old);
      equal(await shown(server.address.port), fingerprint(old.chain));
    } finally {
      Deno.serve = serve;
      await server.close();
    }
  });
});

Deno.test("a server that waits for its port can be closed", async () => {
  await inFolder(async (authority, _folder, now) => {
    const [old, renewed] = [1, 2].map(() => authority.issue(["127.0.0.1"], now)) as [
      Certificate,
      Certificate,
    ];
    const app = { fetch: () => Promise.resolve(new Response("page")) };
    const where = { hostname: "127.0.0.1", port: 0 };
    const server = serveApp(app, where, { certificate: old, sendWithoutDelay }, () => {});
    const { serve } = Deno;
    Deno.serve = (() => {
      throw new Deno.errors.AddrInUse("another program");
    }) as typeof serve;
    try {
      const renewing = server.renew(renewed);
      while (server.problem === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
      await server.close();
      await renewing;
    } finally {
      Deno.serve = serve;
    }
  });
});

Deno.test("health reports that nobody can connect, and warnings", async () => {
  await using world = await World.start();
  const certificate = { fingerprint: "AA", expiresAt: world.now + 1_000, problem: "the keeper is away" };
  let problem: string | undefined;
  const context = { ...world.context, certificate };
  const where = { hostname: "127.0.0.1", port: 0 };
  await using server = serveMetrics(context, new RequestCount(), where, () => problem);
  const health = async () => {
    const response = await fetch(`http://127.0.0.1:${server.address.port}/healthz`);
    return [response.status, await response.text()];
  };
  const renewal = "ok, but the certificate could not be renewed: the keeper is away\n";
  deepEqual(await health(), [200, `${renewal}ok, but the interfaces do not have all devices yet\n`]);
  await world.peers.sync();
  deepEqual(await health(), [200, renewal]);
  problem = "the port is in use";
  deepEqual(await health(), [503, "the page cannot be reached: the port is in use\n"]);
  problem = undefined;
  world.now += 2_000;
  equal((await health())[0], 503, "an expired certificate is a failure");
});

Deno.test("health reports a store that can be read but not changed, until it can be changed", async () => {
  await using world = await World.start();
  await world.peers.sync();
  const where = { hostname: "127.0.0.1", port: 0 };
  const { store: { database, settings } } = world;
  await using server = serveMetrics(world.context, new RequestCount(), where, () => undefined);
  const health = async () => {
    const response = await fetch(`http://127.0.0.1:${server.address.port}/healthz`);
    return [response.status, await response.text()];
  };
  // The error of a full disk.
  await database.run(
    "CREATE TRIGGER full BEFORE INSERT ON settings BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
  );
  await rejects(settings.set("maxDevices", "3"), DatabaseError);
  deepEqual(await health(), [503, "does not work: the store\n"]);
  deepEqual(await health(), [503, "does not work: the store\n"]);
  await database.run("DROP TRIGGER full");
  deepEqual(await health(), [200, "ok\n"]);
  equal(database.changesFail, false);
});

Deno.test("the served certificate follows its source, and an unusable one changes nothing", async () => {
  await inFolder(async (authority, _folder, now) => {
    const [first, second] = [1, 2].map(() => authority.issue(["localhost"], now)) as [
      Certificate,
      Certificate,
    ];
    let given: Certificate | Error = first;
    const log: string[] = [];
    const taken: Certificate[] = [];
    const served = await ServedCertificate.from(
      () => given instanceof Error ? Promise.reject(given) : Promise.resolve(given),
      (text) => log.push(text),
    );
    const follow = () => served.follow((certificate) => void taken.push(certificate));
    await follow();
    equal(taken.length, 0, "an unchanged certificate is not loaded again");
    given = new Error("the keeper is away");
    await follow();
    given = { chain: second.chain, key: first.key };
    await follow();
    equal(taken.length, 0);
    match(served.problem!, /the key does not belong to the certificate/);
    equal(log.length, 2, log.join());
    equal(served.fingerprint, fingerprint(first.chain));
    given = second;
    await follow();
    equal(taken.length, 1);
    equal(served.problem, undefined);
    equal(served.fingerprint, fingerprint(second.chain));
    equal(served.expiresAt, new X509Certificate(second.chain).validToDate.getTime());
  });
});
