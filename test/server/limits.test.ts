import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { CloseCode, memoryBackplane } from "../../src/index.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import {
  type ManagerServer,
  type ManagerServerOptions,
  startManager,
} from "../support/manager-server.ts";
import { clientFrame, handshake, RawClient } from "../support/raw-handshake.ts";

const dispose = useDisposals();

async function start(options: ManagerServerOptions = {}): Promise<ManagerServer> {
  const started = await startManager(options);
  dispose(() => started.dispose());
  return started;
}

/** A client that speaks in bytes, connected. */
async function connectRaw({ url }: ManagerServer, headers = {}): Promise<RawClient> {
  const client = await RawClient.connect(Number(new URL(url).port));
  dispose(() => client.dispose());
  client.write(handshake("/anonymous", headers));
  expect((await client.answer())?.status).toBe(101);
  return client;
}

describe("connections in all", () => {
  test("are refused with 503 beyond maxConnections, until one has ended", async () => {
    const server = await start({ limits: { maxConnections: 2 } });
    const first = await server.connect();
    await server.connect();
    await expect(server.connect()).rejects.toThrow("503");
    await first.client.close();
    await server.connect();
  });

  test("count handshakes whose credential is being checked, and free their place", async () => {
    let release: (() => void) | null = null;
    const server = await start({
      limits: { maxConnections: 1 },
      router: {
        authenticate: () =>
          new Promise((resolve) => {
            release = () => resolve(null);
          }),
      },
    });
    const waiting = Client.connect(server.url);
    await expect.poll(() => release).not.toBeNull();
    await expect(server.connect()).rejects.toThrow("503");
    (release as (() => void) | null)?.();
    await expect(waiting).rejects.toThrow("401");
    await server.connect();
  });
});

describe("connections of one address", () => {
  test("are refused with 429 beyond maxConnectionsPerAddress", async () => {
    const server = await start({ limits: { maxConnectionsPerAddress: 1 } });
    const { client } = await server.connect();
    await expect(server.connect()).rejects.toThrow("429");
    await client.close();
    await server.connect();
  });

  test("are told apart by X-Forwarded-For if it comes from a trusted proxy", async () => {
    const server = await start({
      limits: { maxConnectionsPerAddress: 1 },
      router: { trustProxy: ["127.0.0.0/8"] },
    });
    const from = (address: string) =>
      Client.connect(`${server.url}/anonymous`, { headers: { "X-Forwarded-For": address } });
    await from("192.0.2.1");
    await from("192.0.2.2");
    // What the client wrote itself stands before what the proxy wrote.
    await expect(from("198.51.100.7, 192.0.2.1")).rejects.toThrow("429");
    await from("2001:db8:0:1::1");
    await expect(from("2001:db8:0:1:ffff::2")).rejects.toThrow("429");
    await from("2001:db8:0:2::1");
    expect(server.manager.connections().map(({ remoteAddress }) => remoteAddress)).toEqual([
      "192.0.2.1",
      "192.0.2.2",
      "2001:db8:0:1::1",
      "2001:db8:0:2::1",
    ]);
  });

  test("are one without a trusted proxy, whatever the header says", async () => {
    const server = await start({ limits: { maxConnectionsPerAddress: 1 } });
    const from = (address: string) =>
      Client.connect(`${server.url}/anonymous`, { headers: { "X-Forwarded-For": address } });
    await from("192.0.2.1");
    await expect(from("192.0.2.2")).rejects.toThrow("429");
  });
});

describe("connections of one user", () => {
  test("beyond the limit are accepted and closed with 4008, and no handler sees them", async () => {
    const server = await start({ limits: { maxConnectionsPerUser: 1 } });
    const { client } = await server.connect("alice");
    const second = await Client.connect(`${server.url}/?user=alice`);
    expect(await second.closed()).toEqual({ code: 4008, reason: "Too many connections" });
    expect(server.manager.connectionCount).toBe(1);
    await server.connect("bob");
    await client.close();
    await server.connect("alice");
  });

  test("hold in the whole cluster, however many come at once", async () => {
    const backplane = memoryBackplane();
    const limits = { maxConnectionsPerUser: 3 };
    const servers = await Promise.all([1, 2, 3].map(() => start({ backplane, limits })));
    const clients = await Promise.all(
      Array.from({ length: 30 }, (_, i) => Client.connect(`${servers[i % 3]?.url}/?user=alice`)),
    );
    let refused = 0;
    for (const client of clients) {
      void client.closed().then(({ code }) => {
        if (code === 4008) refused++;
      });
    }
    await expect.poll(() => refused).toBe(27);
    const held = servers.reduce((sum, { manager }) => sum + manager.connectionCount, 0);
    expect(held).toBe(3);
  });

  test("that were killed with their instance free their places when it leaves", async () => {
    const backplane = memoryBackplane();
    const limits = { maxConnectionsPerUser: 1 };
    const one = await start({ backplane, limits });
    const two = await start({ backplane, limits });
    await one.connect("alice");
    await one.manager.stop();
    await two.connect("alice");
  });

  test("give their place back if the client went while its handshake was answered", async () => {
    const server = await start({ limits: { maxConnectionsPerUser: 1, maxConnections: 1 } });
    const leaving = createServer();
    const handled = new Promise<void>((resolve) => {
      leaving.on("upgrade", (request, socket, head) => {
        socket.destroy();
        socket.on("close", () => {
          server.router.handleUpgrade(request, socket, head);
          resolve();
        });
      });
    });
    leaving.listen(0, "127.0.0.1");
    await once(leaving, "listening");
    dispose(() => leaving.close());
    const client = await RawClient.connect((leaving.address() as AddressInfo).port);
    client.write(handshake("/?user=alice"));
    await handled;
    await client.closed();
    const { connection } = await server.connect("alice");
    expect(connection.state).toBe("open");
  });

  test("may replace the oldest instead, on whatever instance that is", async () => {
    const backplane = memoryBackplane();
    const limits = { maxConnectionsPerUser: 2, onUserLimit: "replaceOldest" } as const;
    const one = await start({ backplane, limits });
    const two = await start({ backplane, limits });
    const oldest = await one.connect("alice");
    const middle = await two.connect("alice");
    const newest = await two.connect("alice");
    expect(await oldest.client.closed()).toEqual({ code: 4409, reason: "replaced" });
    expect([middle.connection.state, newest.connection.state]).toEqual(["open", "open"]);
    await one.connect("alice");
    expect(await middle.client.closed()).toMatchObject({ code: 4409 });
    expect(await one.manager.presence.isOnline("alice")).toBe(true);
  });

  test("are limited before the start, too, and by WS_MAX_CONNECTIONS_PER_USER", async () => {
    const server = await start({ start: false, config: { maxConnectionsPerUser: 1 } });
    await server.connect("alice");
    const second = await Client.connect(`${server.url}/?user=alice`);
    expect(await second.closed()).toMatchObject({ code: 4008 });
    expect(new ConnectionManager({ limits: { maxConnectionsPerUser: 2 } }).limits).toMatchObject({
      maxConnectionsPerUser: 2,
      messageBurst: 2,
    });
  });
});

describe("messages", () => {
  test("over the rate are dropped with one error frame; a flood is closed with 4429", async () => {
    const server = await start({ limits: { messagesPerSecond: 5, messageBurst: 10 } });
    const { client, connection } = await server.connect("alice");
    const received: unknown[] = [];
    connection.on("message", (message) => received.push(message));
    for (let i = 0; i < 15; i++) client.send(String(i));
    expect(await client.nextJson()).toMatchObject({ type: "error", code: "rate_limited" });
    expect(received).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    expect(connection.state).toBe("open");
    for (let i = 0; i < 15; i++) client.send(String(i));
    expect(await client.closed()).toEqual({ code: 4429, reason: "too many messages" });
    expect(client.waiting).toEqual([]);
  });

  test("have no rate unless it is set", async () => {
    const server = await start();
    const { client, connection } = await server.connect();
    let received = 0;
    connection.on("message", () => received++);
    for (let i = 0; i < 2000; i++) client.send("x");
    await expect.poll(() => received).toBe(2000);
  });

  test("after our close are not heard any more", async () => {
    const server = await start();
    const client = await connectRaw(server);
    const [connection] = server.manager.connections();
    const received: unknown[] = [];
    connection?.on("message", (message) => received.push(message));
    client.write(clientFrame(1, "before"));
    await expect.poll(() => received.length).toBe(1);
    connection?.close(4000);
    expect(await client.closeCode()).toBe(4000);
    client.write(clientFrame(1, "after"));
    client.write(clientFrame(8, Buffer.from([0x0f, 0xa0])));
    await client.closed();
    expect(received).toEqual(["before"]);
  });

  test("that are not finished in time close with 1008, those that are do not", async () => {
    const server = await start({ limits: { messageTimeoutMs: 200 } });
    const half = await connectRaw(server);
    half.write(clientFrame(1, "a whole one"));
    half.write(clientFrame(1, "a part", false));
    const inHeader = await connectRaw(server);
    inHeader.write(clientFrame(1, "cut").subarray(0, 1));
    const trickle = await connectRaw(server);
    trickle.write(clientFrame(1, "", false));
    const drip = setInterval(() => trickle.write(clientFrame(0, "x", false)), 20);
    dispose(() => clearInterval(drip));
    const busy = await Client.connect(`${server.url}/anonymous`);
    const ping = setInterval(() => busy.send("x"), 20);
    dispose(() => clearInterval(ping));
    expect(await half.closeCode()).toBe(1008);
    expect(await inHeader.closeCode()).toBe(1008);
    expect(await trickle.closeCode()).toBe(1008);
    expect(server.manager.connectionCount).toBe(1);
    expect(busy.socket.readyState).toBe(busy.socket.OPEN);
  });

  test("held up by us are not late", async () => {
    const server = await start({ limits: { messageTimeoutMs: 100 }, config: { maxQueueSize: 1 } });
    let go: () => void = () => {};
    server.router.public("/stuck", {
      message: () =>
        new Promise<void>((resolve) => {
          go = resolve;
        }),
    });
    const client = await RawClient.connect(Number(new URL(server.url).port));
    dispose(() => client.dispose());
    client.write(handshake("/stuck"));
    await client.answer();
    client.write(
      Buffer.concat([clientFrame(1, "1"), clientFrame(1, "2"), clientFrame(1, "3").subarray(0, 4)]),
    );
    const [connection] = server.manager.connections();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(connection?.state).toBe("open");
    go();
  });

  test("in more than 16,384 fragments close with 1008", async () => {
    const server = await start();
    const client = await connectRaw(server);
    client.write(clientFrame(1, "x", false));
    const fragment = clientFrame(0, "x", false);
    client.write(Buffer.concat(Array(16_384).fill(fragment)));
    expect(await client.closeCode()).toBe(1008);
  });

  test("that are not UTF-8 close with 1007, malformed frames with 1002", async () => {
    const server = await start();
    const client = await connectRaw(server);
    client.write(clientFrame(1, Buffer.from([0xff, 0xfe])));
    expect(await client.closeCode()).toBe(1007);
    const unmasked = await connectRaw(server);
    unmasked.write(Buffer.from([0x81, 0x01, 0x61]));
    expect(await unmasked.closeCode()).toBe(1002);
  });

  test("have the size limit of their route", async () => {
    const server = await start();
    server.router.public("/small", { maxMessageSize: 10 }, { message: () => {} });
    const small = await Client.connect(`${server.url}/small`);
    small.send("0123456789");
    small.send("0123456789x");
    expect(await small.closed()).toMatchObject({ code: 1009 });
    const { client, connection } = await server.connect();
    const received: unknown[] = [];
    connection.on("message", (message) => received.push(message));
    client.send("0123456789x");
    await expect.poll(() => received).toEqual(["0123456789x"]);
  });
});

describe("pings", () => {
  test("over 10 a second close with 4429", async () => {
    const server = await start();
    const client = await connectRaw(server);
    for (let i = 0; i < 10; i++) client.write(clientFrame(9));
    for (let i = 0; i < 10; i++) expect((await client.frame())?.opcode).toBe(10);
    client.write(Buffer.concat(Array(100).fill(clientFrame(9))));
    expect(await client.closeCode()).toBe(4429);
    await client.closed();
  });
});

describe("a credential", () => {
  const expiring = (inMs: number): ManagerServerOptions => ({
    limits: { expiryGraceMs: 0 },
    router: {
      authenticate: () => ({
        id: "alice",
        scopes: [],
        claims: {},
        via: "session",
        expiresAt: Date.now() + inMs,
      }),
    },
  });

  test("that expires while connected closes with 4401 within a second", async () => {
    const server = await start(expiring(500));
    const begin = performance.now();
    const { client } = await server.connect("alice");
    expect(await client.closed()).toEqual({ code: 4401, reason: "credential expired" });
    const took = performance.now() - begin;
    expect(took).toBeGreaterThan(490);
    expect(took).toBeLessThan(1900);
  });

  test("that has expired already, by a clock that differs, closes soon", async () => {
    const server = await start(expiring(-1000));
    const { client } = await server.connect("alice");
    expect(await client.closed()).toMatchObject({ code: 4401 });
  });

  test("that lasts longer than any timer can wait closes nothing", async () => {
    const server = await start(expiring(2 ** 40));
    const { client, connection } = await server.connect("alice");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(connection.state).toBe("open");
    expect(connection.principal?.via).toBe("session");
    await client.close();
  });

  test("that is revoked closes every connection of the user in the cluster", async () => {
    const backplane = memoryBackplane();
    const one = await start({ backplane });
    const two = await start({ backplane });
    const here = await one.connect("alice");
    const there = await two.connect("alice");
    await one.manager.disconnectUser("alice", { code: 4401, reason: "revoked" });
    expect(await here.client.closed()).toEqual({ code: 4401, reason: "revoked" });
    expect(await there.client.closed()).toEqual({ code: 4401, reason: "revoked" });
  });
});

test.each([
  [{ maxConnections: 0 }, /limits.maxConnections must be a whole number/],
  [{ maxConnectionsPerUser: 1.5 }, /limits.maxConnectionsPerUser/],
  [{ maxConnectionsPerAddress: "1" as never }, /limits.maxConnectionsPerAddress/],
  [{ onUserLimit: "oldest" as never }, /limits.onUserLimit must be "reject" or "replaceOldest"/],
  [{ messagesPerSecond: -1 }, /limits.messagesPerSecond/],
  [{ messageBurst: Number.NaN }, /limits.messageBurst/],
  [{ pingsPerSecond: 0 }, /limits.pingsPerSecond/],
  [{ messageTimeoutMs: 1 }, /limits.messageTimeoutMs must be milliseconds/],
  [{ expiryGraceMs: -1 }, /limits.expiryGraceMs/],
  [{ maxConections: 1 } as never, /limits has no option maxConections/],
])("the limits %j are refused with a sentence that names the option", (limits, message) => {
  expect(() => new ConnectionManager({ limits })).toThrow(message);
});

test("every limit is described where users look", async () => {
  const page = await readFile(new URL("../../docs/security.md", import.meta.url), "utf8");
  for (const name of Object.keys(new ConnectionManager().limits)) {
    expect(page).toContain(`limits.${name}`);
  }
  for (const code of Object.values(CloseCode)) expect(page).toContain(String(code));
});
