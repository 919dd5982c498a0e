import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { clientFrame, handshake, RawClient } from "../support/raw-handshake.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";
import { jwt } from "../support/tokens.ts";

const onDispose = useDisposals();
const SECRET = "a secret that is long enough for HS256";
const KEY = "0123456789abcdef0123456789abcdef";
const MIB = 1_048_576;

async function serve(env: Record<string, string> = {}, ...args: string[]): Promise<ServeProcess> {
  const started = await startServe({ env, args });
  onDispose(started.dispose);
  return started;
}

async function raw(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  onDispose(() => client.dispose());
  return client;
}

function token(claims: object): string {
  const exp = Math.floor(Date.now() / 1000) + 60;
  return jwt({ alg: "HS256" }, { sub: "alice", exp, ...claims }, SECRET);
}

async function enter(client: Client, room: string): Promise<Record<string, unknown>> {
  client.send({ type: "join", room });
  return client.nextOfType("joined");
}

/** The status of a GET with these headers; `Host` is localhost unless they say otherwise. */
async function status(port: number, target: string, headers: Record<string, string> = {}) {
  const client = await raw(port);
  const lines = Object.entries({ Host: "localhost", ...headers }).map(([k, v]) => `${k}: ${v}`);
  client.write(`GET ${target} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  return (await client.answer())?.status;
}

describe("pages of history", () => {
  test("have 1 MiB, and nobody gets a second one before the first was read", async () => {
    const { wsUrl, process: server } = await serve({ ROOMCAST_RATE_LIMIT: "none" });
    const writer = await Client.connect(`${wsUrl}/ws?user=writer`);
    await enter(writer, "lobby");
    for (let i = 0; i < 40; i++) {
      writer.send({ type: "room_message", room: "lobby", data: `${i}`.padEnd(100_000) });
      await writer.nextOfType("message");
    }
    writer.send({ type: "history", room: "lobby", limit: 1000 });
    const page = await writer.nextOfType("history");
    expect(JSON.stringify(page).length).toBeLessThan(1.3 * MIB);
    expect(page.next).toBeTypeOf("string");

    // Who asks a hundred times and reads nothing holds about a page and what lies in buffers of the system.
    const greedy = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const client = await Client.connect(`${wsUrl}/ws?user=greedy${i}`);
        await enter(client, "lobby");
        return client;
      }),
    );
    const before = await rss(server.pid ?? 0);
    for (const client of greedy) {
      client.socket.pause();
      for (let i = 0; i < 100; i++) client.send({ type: "history", room: "lobby", limit: 1000 });
    }
    // Everybody else is served all the while.
    for (let i = 0; i < 50; i++) {
      writer.send({ type: "ping" });
      await writer.nextOfType("pong");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect((await rss(server.pid ?? 0)) - before).toBeLessThan(150 * MIB);
    for (const client of greedy) client.socket.terminate();
  });
});

/** The resident memory of a process, in bytes. */
async function rss(pid: number): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) * 1024;
}

test("a user begins so many rooms with history; what is said in others is said, and not kept", async () => {
  const { wsUrl } = await serve({
    ROOMCAST_HISTORY_ROOMS_PER_USER: "2",
    ROOMCAST_HISTORY_MAX_ROOMS: "3",
  });
  const alice = await Client.connect(`${wsUrl}/ws?user=alice`);
  const bob = await Client.connect(`${wsUrl}/ws?user=bob`);
  const say = async (client: Client, room: string): Promise<unknown[]> => {
    await enter(client, room);
    client.send({ type: "room_message", room, data: "hi" });
    await client.nextOfType("message");
    client.send({ type: "history", room });
    const { messages } = await client.nextOfType("history");
    return messages as unknown[];
  };
  expect(await say(alice, "a1")).toHaveLength(1);
  expect(await say(alice, "a2")).toHaveLength(1);
  expect(await say(alice, "a3")).toHaveLength(0);
  // Where another one has begun, everybody is kept; and so is who was there before, in the room of theirs.
  expect(await say(bob, "a1")).toHaveLength(2);
  expect(await say(bob, "b1")).toHaveLength(1);
  expect(await say(bob, "b2")).toHaveLength(0);
  expect(await say(alice, "a1")).toHaveLength(3);
});

test("requests piled up on one connection end it, and nobody waits for them", async () => {
  const { port, url } = await serve();
  const socket = connect(port, "127.0.0.1");
  onDispose(() => socket.destroy());
  socket.on("error", () => {});
  let answers = 0;
  socket.on("data", (data) => {
    answers += data.toString("latin1").split("HTTP/1.1 200").length - 1;
  });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(170_000));
  const began = performance.now();
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect(performance.now() - began).toBeLessThan(5000);
  await closed;
  expect(answers).toBeLessThan(1000);

  // One after the other there may be a thousand, and then the connection is closed in good order.
  const patient = await raw(port);
  for (let i = 1; i <= 1000; i++) {
    patient.write("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const answer = await patient.answer();
    expect(answer?.status).toBe(200);
    if (i === 1000) expect(answer?.headers.get("connection")).toBe("close");
  }
});

describe("what is for operators", () => {
  const PATHS = ["/api/users/alice", "/dashboard", "/metrics", "/ws/stats"];

  test.each<[string, Record<string, string>]>([
    ["tokens", { JWT_SECRET: SECRET }],
    ["origins", { ROOMCAST_ORIGINS: "https://chat.example" }],
    ["proxies", { ROOMCAST_TRUST_PROXY: "10.0.0.0/8" }],
  ])("is closed without a key where %s are set up, also to this machine", async (_name, env) => {
    const { port } = await serve(env);
    // As a reverse proxy on this machine asks, one that adds no header of its own.
    for (const path of PATHS) expect([path, await status(port, path)]).toEqual([path, 403]);
    const keyed = await serve({ ...env, ROOMCAST_API_KEY: KEY });
    const answer = await status(keyed.port, "/ws/stats", { Authorization: `Bearer ${KEY}` });
    expect(answer).toBe(200);
  });

  test("takes no key from the query", async () => {
    const { port } = await serve({ ROOMCAST_API_KEY: KEY });
    expect(await status(port, `/ws/stats?token=${KEY}`)).toBe(401);
    expect(await status(port, "/ws/stats", { "X-API-Key": KEY })).toBe(200);
  });

  test("compares five wrong keys a minute, also if they come at once", async () => {
    const { port } = await serve({ ROOMCAST_API_KEY: KEY });
    const client = await raw(port);
    const wrong =
      "GET /ws/stats HTTP/1.1\r\nHost: localhost\r\nX-API-Key: wrong-key-of-good-length\r\n\r\n";
    client.write(wrong.repeat(20));
    const statuses: (number | undefined)[] = [];
    for (let i = 0; i < 20; i++) statuses.push((await client.answer())?.status);
    expect(statuses.filter((one) => one === 401)).toHaveLength(5);
    expect(statuses.filter((one) => one === 429)).toHaveLength(15);
    // Right ones at once are all taken.
    const other = await serve({ ROOMCAST_API_KEY: KEY });
    const operator = await raw(other.port);
    operator.write(wrong.replace("wrong-key-of-good-length", KEY).repeat(20));
    for (let i = 0; i < 20; i++) expect((await operator.answer())?.status).toBe(200);
  });

  test("locks out the address that fails, not everybody behind a proxy", async () => {
    const { port } = await serve({ ROOMCAST_API_KEY: KEY, ROOMCAST_TRUST_PROXY: "127.0.0.1" });
    const from = (address: string, key: string) =>
      status(port, "/ws/stats", { "X-Forwarded-For": address, "X-API-Key": key });
    for (let i = 0; i < 5; i++)
      expect(await from("192.0.2.1", "wrong-key-of-good-length")).toBe(401);
    expect(await from("192.0.2.1", KEY)).toBe(429);
    expect(await from("192.0.2.2", KEY)).toBe(200);
  });
});

describe("development mode", () => {
  test.each([
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "",
    "[",
    "192.0.2.1",
  ])("answers nobody who calls it %j", async (host) => {
    const { port } = await serve();
    for (const path of ["/", "/health", "/ws", "/ws/stats"]) {
      expect([path, await status(port, path, { Host: host })]).toEqual([
        path,
        host === "[" || host === "" ? expect.toBeOneOf([400, 403]) : 403,
      ]);
    }
    const client = await raw(port);
    client.write(handshake("/ws?user=alice", { Host: host, Origin: `http://${host}` }));
    expect((await client.answer())?.status).toBe(403);
  });

  test("answers to the names of this machine", async () => {
    const { port } = await serve();
    for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1", "127.1.2.3:8000", "[::1]:8000"]) {
      expect([host, await status(port, "/", { Host: host })]).toEqual([host, 200]);
      const client = await raw(port);
      client.write(
        handshake("/ws?user=alice", { Host: host, Origin: `http://${host.toLowerCase()}` }),
      );
      expect((await client.answer())?.status).toBe(101);
    }
  });

  test("where others are let in all the same, answers to addresses and the names it was told of", async () => {
    const env = { HOST: "0.0.0.0", ROOMCAST_ORIGINS: "http://box.example:8000" };
    const { port } = await serve(env, "--insecure");
    expect(await status(port, "/", { Host: "192.0.2.1:8000" })).toBe(200);
    expect(await status(port, "/", { Host: "[2001:db8::1]" })).toBe(200);
    expect(await status(port, "/", { Host: "box.example:8000" })).toBe(200);
    expect(await status(port, "/", { Host: "evil.example" })).toBe(403);
  });

  test("with tokens any Host is answered: who may connect is proven", async () => {
    const { port } = await serve({ JWT_SECRET: SECRET });
    expect(await status(port, "/", { Host: "chat.example" })).toBe(200);
  });
});

test("pages may connect to their own host alone", async () => {
  const { url } = await serve();
  const policy = (await fetch(url)).headers.get("content-security-policy");
  expect(policy).toMatch(/connect-src 'self';/);
});

describe("tokens limited to rooms", () => {
  test.each<[string, object, boolean]>([
    ["no claim", {}, true],
    ["rooms", { rooms: [] }, false],
    ["rooms and broadcast", { rooms: [], broadcast: true }, true],
    ["a broadcast that is no true", { rooms: ["*"], broadcast: "true" }, false],
    ["rooms that are no list", { rooms: "*" }, false],
    ["broadcast denied", { broadcast: false }, false],
  ])("with %s speak to everybody, or not", async (_name, claims, allowed) => {
    const { wsUrl } = await serve({ JWT_SECRET: SECRET });
    const listener = await Client.connect(`${wsUrl}/ws?token=${token({ sub: "bob" })}`);
    const client = await Client.connect(`${wsUrl}/ws?token=${token(claims)}`);
    client.send({ type: "broadcast", data: "all" });
    if (allowed) expect(await listener.nextOfType("message")).toMatchObject({ data: "all" });
    else expect(await client.nextOfType("error")).toMatchObject({ code: "forbidden" });
  });
});

test("an acknowledgement says that a message was handled, and nothing of whom it reached", async () => {
  const { wsUrl } = await serve();
  const spy = await Client.connect(`${wsUrl}/ws?user=spy`, {}, ["roomcast.v1"]);
  spy.send({ type: "resume" });
  const messages = [
    { type: "direct_message", to: "spy", data: 1 },
    { type: "direct_message", to: "nobody", data: 1 },
    { type: "broadcast", data: 1 },
    { type: "join", room: "lobby" },
    { type: "room_message", room: "lobby", data: 1 },
    { type: "history", room: "lobby" },
    { type: "leave", room: "lobby" },
  ];
  for (const [i, data] of messages.entries()) {
    spy.send({ type: "message", id: `m${i}`, data });
    expect(await spy.nextOfType("ack")).toEqual({ type: "ack", id: `m${i}` });
  }
});

test("who joins a large room again and again gets its list at a measured pace", async () => {
  const { wsUrl } = await serve({ ROOMCAST_RATE_LIMIT: "none" });
  // 400 users with long names.
  const crowd = await Promise.all(
    Array.from({ length: 400 }, (_, i) =>
      Client.connect(`${wsUrl}/ws?user=${`${i}`.padStart(250, "u")}`),
    ),
  );
  for (const one of crowd) one.send({ type: "join", room: "big" });
  await Promise.all(crowd.map((one) => one.nextOfType("joined")));
  const client = await Client.connect(`${wsUrl}/ws?user=asker`);
  let answers = 0;
  client.socket.on("message", (data: Buffer) => {
    if (data.length > 10_000) answers++;
  });
  for (let i = 0; i < 500; i++) client.send({ type: "join", room: "big" });
  // About fifty at once are free; the rest, at 500 names a second, would take minutes.
  await expect.poll(() => answers).toBeGreaterThanOrEqual(40);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(answers).toBeLessThan(70);
  for (const one of crowd) one.socket.terminate();
});

describe("floods", () => {
  test("of pongs nobody asked for end with 4429", async () => {
    const { port } = await serve();
    const client = await raw(port);
    client.write(handshake("/ws?user=flood"));
    expect((await client.answer())?.status).toBe(101);
    client.write(Buffer.concat(Array(1000).fill(clientFrame(10))));
    expect(await client.closeCode()).toBe(4429);
  });

  test("of large messages count by their bytes", async () => {
    const { wsUrl } = await serve();
    const client = await Client.connect(`${wsUrl}/ws?user=flood`);
    const large = `{"type":"x","data":${JSON.stringify(Array(130_000).fill([[]]))}}`;
    expect(large.length).toBeGreaterThan(600_000);
    for (let i = 0; i < 30; i++) client.send(large);
    expect(await client.closed()).toMatchObject({ code: 4429 });
  });

  test("of protocol errors and of upgrades while the issuer is away hardly show in the log", async () => {
    const { port, output } = await serve({ JWKS_URL: "http://127.0.0.1:1/keys" });
    const upgrade = jwt({ alg: "RS256", kid: "1" }, { sub: "a", exp: 9_999_999_999 }, "x", "HS256");
    for (let i = 0; i < 100; i++) {
      const client = await raw(port);
      client.write(handshake(`/ws?token=${upgrade}`));
      expect((await client.answer())?.status).toBe(503);
      client.dispose();
    }
    const open = await serve();
    for (let i = 0; i < 100; i++) {
      const client = await raw(open.port);
      client.write(handshake("/ws?user=a"));
      await client.answer();
      client.write(clientFrame(3));
      expect(await client.closeCode()).toBe(1002);
      client.dispose();
    }
    expect(
      output()
        .split("\n")
        .filter((line) => line.includes('"level":50')).length,
    ).toBeLessThan(15);
    expect(open.output()).not.toContain('"level":50');
  });
});

test("a user and password in JWKS_URL are sent, and not logged", async () => {
  const asked: (string | undefined)[] = [];
  const issuer = createServer((request, response) => {
    asked.push(request.headers.authorization);
    response.writeHead(500).end();
  }).listen(0, "127.0.0.1");
  await once(issuer, "listening");
  onDispose(() => issuer.close());
  const { port: issuerPort } = issuer.address() as AddressInfo;
  const { port, output } = await serve({
    JWKS_URL: `http://me:hunter2@127.0.0.1:${issuerPort}/keys`,
  });
  const client = await raw(port);
  const signed = jwt({ alg: "RS256", kid: "1" }, { sub: "a", exp: 9_999_999_999 }, "x", "HS256");
  client.write(handshake(`/ws?token=${signed}`));
  expect((await client.answer())?.status).toBe(503);
  await expect.poll(output).toContain("could not be fetched");
  expect(output()).not.toContain("hunter2");
  expect(asked[0]).toBe(`Basic ${Buffer.from("me:hunter2").toString("base64")}`);
});
