import { expect, test } from "vitest";
import { jwtAuthenticator } from "../../src/auth/jwt-authenticator.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { jwt } from "../support/tokens.ts";

const onDispose = useDisposals();
const SECRET = "a secret that is long enough for HS256";

function token(sub: string, ttlSeconds: number, claims: object = {}): string {
  const exp = Math.floor(Date.now() / 1000) + ttlSeconds;
  return jwt({ alg: "HS256" }, { sub, exp, ...claims }, SECRET);
}

async function start(): Promise<ManagerServer> {
  const one = await startManager({
    limits: { expiryGraceMs: 0 },
    router: { authenticate: jwtAuthenticator({ secret: SECRET }) },
  });
  onDispose(one.dispose);
  one.router.scopes("/chat", ["chat"], { message: () => {} });
  one.router.public("/public", { message: () => {} });
  return one;
}

async function open(one: ManagerServer, path: string, bearer: string): Promise<Client> {
  const client = await Client.connect(one.url + path, {}, ["bearer", bearer, "roomcast.v1"]);
  onDispose(() => client.socket.terminate());
  expect(client.socket.protocol).toBe("roomcast.v1");
  await client.nextOfType("welcome");
  return client;
}

test("a client is told that its token ends, and a fresh one keeps it connected", async () => {
  const one = await start();
  const client = await open(one, "/", token("alice", 10));
  const { in_ms: inMs } = await client.nextOfType("refresh");
  expect(inMs).toBeGreaterThan(0);
  expect(inMs).toBeLessThanOrEqual(2000);
  const [connection] = one.manager.connections();
  const before = connection?.principal?.expiresAt ?? 0;
  client.send({ type: "auth", token: token("alice", 3600, { scope: "more" }) });
  await expect.poll(() => connection?.principal?.expiresAt).toBeGreaterThan(before);
  expect(connection?.principal?.scopes).toEqual(["more"]);
  // Beyond the end of the first.
  await expect.poll(() => Date.now()).toBeGreaterThan(before + 1500);
  client.send({ type: "ping" });
  expect(await client.nextJson()).toEqual({ type: "pong" });
});

test("whoever does not renew is told goodbye, and may come back with another token", async () => {
  const one = await start();
  const client = await open(one, "/", token("alice", 2));
  expect(await client.nextOfType("goodbye")).toEqual({
    type: "goodbye",
    code: 4401,
    reconnect: true,
    after_ms: 0,
  });
  expect(await client.closed()).toMatchObject({ code: 4401 });
});

test("a token that is not valid, or allows less, is refused and the old one still holds", async () => {
  const one = await start();
  const client = await open(one, "/chat", token("alice", 60, { scope: "chat" }));
  for (const bad of ["nonsense", token("alice", -60), token("alice", 60)]) {
    client.send({ type: "auth", token: bad });
    expect(await client.nextJson()).toMatchObject({ type: "error", code: "auth_failed" });
  }
  client.send({ type: "auth", token: token("alice", 600, { scope: "chat" }) });
  client.send({ type: "ping" });
  expect(await client.nextJson()).toEqual({ type: "pong" });
  expect(one.manager.connectionCount).toBe(1);
});

test("a token of somebody else closes the connection with 4403", async () => {
  const one = await start();
  const client = await open(one, "/", token("alice", 60));
  client.send({ type: "auth", token: token("bob", 60) });
  expect(await client.nextOfType("goodbye")).toMatchObject({ code: 4403, reconnect: false });
  expect(await client.closed()).toMatchObject({ code: 4403 });
});

test("where nobody is asked who they are there is nothing to renew", async () => {
  const one = await start();
  const client = await open(one, "/public", "whatever");
  client.send({ type: "auth", token: token("alice", 60) });
  expect(await client.nextJson()).toMatchObject({ type: "error", code: "auth_failed" });
});

test("a stop says goodbye with the time to come back, spread over the drain", async () => {
  const one = await start();
  const clients = await Promise.all(
    Array.from({ length: 200 }, () => open(one, "/", token("alice", 60))),
  );
  const plain = await Client.connect(`${one.url}/?token=${token("bob", 60)}`);
  const stopped = one.manager.stop({ drainMs: 3000, message: "bye" });
  const waits: number[] = [];
  for (const client of clients) {
    expect(await client.nextJson()).toEqual({ type: "message", data: "bye" });
    const goodbye = await client.nextJson();
    expect(goodbye).toMatchObject({ type: "goodbye", code: 1012, reconnect: true });
    waits.push(Number(goodbye.after_ms));
    expect(await client.closed()).toMatchObject({ code: 1012 });
  }
  await stopped;
  expect(Math.max(...waits)).toBeLessThanOrEqual(3000);
  // Of 200 at random in three seconds, less than a tenth in any third has a chance below 1e-15.
  for (const third of [0, 1000, 2000]) {
    const within = waits.filter((wait) => wait >= third && wait <= third + 1000);
    expect(within.length).toBeGreaterThan(20);
  }
  expect(await plain.next()).toBe("bye");
  expect(await plain.closed()).toMatchObject({ code: 1012 });
});
