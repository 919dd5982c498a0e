import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { decodeJwt } from "jose";
import { describe, expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { jwk, keySetServer } from "../support/key-set-server.ts";
import { handshake, RawClient } from "../support/raw-handshake.ts";
import { repositoryRoot } from "../support/repository.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";
import { jwt, p256 } from "../support/tokens.ts";

const SECRET = "a secret that is long enough for HS256";
const dispose = useDisposals();

async function serve(env: Record<string, string>, ...args: string[]): Promise<ServeProcess> {
  const started = await startServe({ env, args });
  dispose(started.dispose);
  return started;
}

function roomcast(args: readonly string[], env: Record<string, string> = {}) {
  const main = join(repositoryRoot, "dist/cli/main.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

/** A token of `roomcast token`. */
function token(...args: string[]): string {
  const { stdout, stderr } = roomcast(["token", ...args], { JWT_SECRET: SECRET });
  expect(stderr).toBe("");
  return stdout.trim();
}

const connect = (url: string, bearer: string): Promise<Client> =>
  Client.connect(url, { headers: { Authorization: `Bearer ${bearer}` } });

describe("serve with a secret", () => {
  test("lets in who has a token of roomcast token, under the name it says", async () => {
    const { wsUrl, output } = await serve({ JWT_SECRET: SECRET });
    expect(output()).not.toContain("Development mode");
    await expect(Client.connect(`${wsUrl}/ws?user=mallory`)).rejects.toThrow("401");
    await expect(connect(`${wsUrl}/ws`, `${token("--user", "mallory")}x`)).rejects.toThrow("401");
    const client = await connect(`${wsUrl}/ws?user=mallory`, token("--user", "alice"));
    client.send({ type: "join", room: "lobby" });
    expect(await client.nextOfType("joined")).toMatchObject({ users: ["alice"] });
    await client.close();
  });

  test("keeps to the rooms the token names", async () => {
    const { wsUrl } = await serve({ JWT_SECRET: SECRET });
    const client = await connect(
      `${wsUrl}/ws`,
      token("--user", "alice", "--rooms", "lobby,chat:*"),
    );
    client.send({ type: "join", room: "chat:1" });
    expect(await client.nextOfType("joined")).toMatchObject({ room: "chat:1" });
    client.send({ type: "join", room: "secret" });
    expect(await client.nextOfType("error")).toMatchObject({ code: "forbidden" });
    client.send({ type: "room_message", room: "secret", data: 1 });
    expect(await client.nextOfType("error")).toMatchObject({ code: "not_a_member" });
    await client.close();

    const now = Math.floor(Date.now() / 1000);
    const odd = jwt({ alg: "HS256" }, { sub: "bob", exp: now + 60, rooms: "lobby" }, SECRET);
    const bob = await connect(`${wsUrl}/ws`, odd);
    bob.send({ type: "join", room: "lobby" });
    expect(await bob.nextOfType("error")).toMatchObject({ code: "forbidden" });
    await bob.close();
  });

  test("asks for the issuer and the audience it was told of", async () => {
    const env = { JWT_SECRET: SECRET, JWT_ISSUER: "us", JWT_AUDIENCE: "chat" };
    const { wsUrl } = await serve(env);
    await expect(connect(`${wsUrl}/ws`, token("--user", "alice"))).rejects.toThrow("401");
    const full = roomcast(["token", "--user", "alice"], env).stdout.trim();
    expect(decodeJwt(full)).toMatchObject({ iss: "us", aud: "chat" });
    await (await connect(`${wsUrl}/ws`, full)).close();
  });

  test("may listen where others reach it", async () => {
    const { output } = await serve({ JWT_SECRET: SECRET, HOST: "0.0.0.0" });
    expect(output()).toContain("0.0.0.0");
  });
});

test("serve with JWKS_URL takes tokens signed with the keys published there", async () => {
  const issuer = await keySetServer(jwk(p256.publicKey, { alg: "ES256", kid: "1" }));
  dispose(() => issuer.stop());
  const { wsUrl } = await serve({ JWKS_URL: issuer.url });
  const now = Math.floor(Date.now() / 1000);
  const signed = jwt({ alg: "ES256", kid: "1" }, { sub: "alice", exp: now + 60 }, p256.privateKey);
  await (await connect(`${wsUrl}/ws`, signed)).close();
  await issuer.stop();
  const lost = await serve({ JWKS_URL: issuer.url });
  await expect(connect(`${lost.wsUrl}/ws`, signed)).rejects.toThrow("503");
});

test("serve lets in the pages of ROOMCAST_ORIGINS and no others", async () => {
  const { wsUrl } = await serve({}, "--origins", "https://a.example, https://b.example:8443");
  const from = (origin: string) => Client.connect(`${wsUrl}/ws`, { origin });
  await (await from("https://a.example")).close();
  await (await from("https://b.example:8443")).close();
  await expect(from("https://b.example")).rejects.toThrow("403");
  await expect(from(wsUrl.replace("ws:", "http:"))).rejects.toThrow("403");
});

test("serve without tokens lets in pages of this machine, and says once how to let in another", async () => {
  const { wsUrl, output } = await serve({ NODE_ENV: "production" });
  const from = (origin: string) => Client.connect(`${wsUrl}/ws`, { origin });
  await (await from("http://localhost:5173")).close();
  await expect(from("https://a.example")).rejects.toThrow("403");
  await expect(from("https://a.example")).rejects.toThrow("403");
  await expect.poll(() => output()).toContain("--origins");
  expect(output().match(/--origins/g)).toHaveLength(1);

  const locked = await serve({ JWT_SECRET: SECRET });
  const origin = "http://localhost:5173";
  await expect(Client.connect(`${locked.wsUrl}/ws`, { origin })).rejects.toThrow("403");
});

test("serve says in one line that Redis is away, and goes on", async () => {
  const { wsUrl, output } = await serve({ REDIS_URL: "redis://:hunter2@127.0.0.1:1" });
  await expect
    .poll(() => output())
    .toContain("Redis cannot be reached: connect ECONNREFUSED 127.0.0.1:1.");
  expect(output()).not.toContain("unhandled error");
  expect(output()).not.toContain("hunter2");
  const client = await Client.connect(`${wsUrl}/ws`);
  client.send({ type: "ping" });
  await client.nextOfType("pong");
  await client.close();
});

test.each(["-h", "--help"])("roomcast %s shows the help, of a command too", (flag) => {
  expect(roomcast([flag])).toMatchObject({
    status: 0,
    stdout: expect.stringContaining("Commands:"),
  });
  const { stdout } = roomcast(["serve", flag]);
  expect(stdout).toContain("Usage: roomcast serve");
});

test.each(["-v", "--version"])("roomcast %s shows the version", (flag) => {
  expect(roomcast([flag]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("serve --log-level says how much is logged", async () => {
  const chatty = await serve({}, "--log-level", "debug");
  const quiet = await serve({ ROOMCAST_LOG_LEVEL: "silent" });
  for (const { wsUrl } of [chatty, quiet]) {
    await expect(Client.connect(`${wsUrl}/ws`, { origin: "https://a.example" })).rejects.toThrow();
    await (await Client.connect(`${wsUrl}/ws`)).close();
  }
  await expect.poll(() => chatty.output()).toContain('"msg":"disconnected"');
  expect(await quiet.stop()).toBe(0);
  expect(quiet.output()).not.toContain('"msg"');
  const { status, stderr } = roomcast(["serve", "--log-level", "loud"]);
  expect(status).toBe(1);
  expect(stderr).toContain(
    '--log-level is "loud", but must be one of debug, info, warn, error, silent',
  );
});

test("serve limits how fast clients send, unless told otherwise", async () => {
  const limited = await serve({});
  const client = await Client.connect(`${limited.wsUrl}/ws`);
  for (let i = 0; i < 500; i++) client.send({ type: "ping" });
  expect(await client.nextOfType("error")).toMatchObject({ code: "rate_limited" });
  expect(await client.closed()).toMatchObject({ code: 4429 });

  const free = await serve({ ROOMCAST_RATE_LIMIT: "none" });
  const other = await Client.connect(`${free.wsUrl}/ws`);
  for (let i = 0; i < 500; i++) other.send({ type: "ping" });
  for (let i = 0; i < 500; i++) expect((await other.nextJson()).type).toBe("pong");
  await other.close();
});

test("serve answers slow handshakes with 408 and oversized ones with 431", async () => {
  const { port } = await serve({ WS_OPEN_TIMEOUT: "0.5" });
  const slow = await RawClient.connect(port);
  dispose(() => slow.dispose());
  slow.write("GET /ws HTTP/1.1\r\nHost: localhost\r\n");
  const large = await RawClient.connect(port);
  dispose(() => large.dispose());
  large.write(handshake("/ws", { "X-Large": "x".repeat(17_000) }));
  expect((await large.answer())?.status).toBe(431);
  expect((await slow.answer())?.status).toBe(408);
});

describe("a wrong setting ends serve with a sentence that names it and hides secrets:", () => {
  test.each<[string, Record<string, string>, string[], RegExp]>([
    [
      "a short secret",
      { JWT_SECRET: "hunter2" },
      [],
      /JWT_SECRET has 7 bytes, but must have at least 32/,
    ],
    ["a short secret in a flag", {}, ["--jwt-secret", "hunter2"], /--jwt-secret has 7 bytes/],
    [
      "two keys",
      { JWT_SECRET: SECRET, JWKS_URL: "https://a.example" },
      [],
      /Give JWT_SECRET or JWKS_URL/,
    ],
    ["a key set that is no URL", { JWKS_URL: "issuer.example" }, [], /JWKS_URL must be a URL/],
    ["an issuer without a key", { JWT_ISSUER: "us" }, [], /JWT_ISSUER has no use without/],
    ["an audience without a key", { JWT_AUDIENCE: "us" }, [], /JWT_AUDIENCE has no use without/],
    [
      "an origin with a path",
      { ROOMCAST_ORIGINS: "https://a.example/" },
      [],
      /ROOMCAST_ORIGINS is "https:\/\/a\.example\/".*"https:\/\/a\.example"/,
    ],
    ["an origin that is a host", {}, ["--origins", "a.example"], /--origins is "a\.example"/],
    ["a short key", { ROOMCAST_API_KEY: "hunter2" }, [], /ROOMCAST_API_KEY has 7 characters/],
    ["a rate that is none", { ROOMCAST_RATE_LIMIT: "0" }, [], /ROOMCAST_RATE_LIMIT is "0"/],
    ["a proxy that is none", { ROOMCAST_TRUST_PROXY: "lb" }, [], /ROOMCAST_TRUST_PROXY is "lb"/],
    ["a host others reach", { HOST: "0.0.0.0" }, [], /JWT_SECRET or JWKS_URL/],
    ["an unknown flag", {}, ["--jwt"], /--jwt/],
  ])("%s", (_name, env, args, message) => {
    const { status, stderr } = roomcast(["serve", ...args], { PORT: "0", ...env });
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("hunter2");
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("roomcast token", () => {
  test("makes a token with what it was told, good for an hour unless told otherwise", () => {
    const claims = decodeJwt(token("--user", "alice", "--scopes", "read, write admin"));
    expect(claims).toMatchObject({ sub: "alice", scope: "read write admin" });
    expect(Number(claims.exp) - Number(claims.iat)).toBe(3600);
    const short = decodeJwt(token("--user", "bob", "--ttl", "90s"));
    expect(Number(short.exp) - Number(short.iat)).toBe(90);
    expect(short).not.toHaveProperty("scope");
    expect(short).not.toHaveProperty("rooms");
  });

  test.each<[string, Record<string, string>, string[], RegExp]>([
    ["no secret", {}, ["--user", "alice"], /Set JWT_SECRET/],
    ["keys of an issuer", { JWKS_URL: "https://a.example" }, ["--user", "alice"], /Set JWT_SECRET/],
    ["no user", { JWT_SECRET: SECRET }, [], /--user must be a name/],
    ["a user that is no name", { JWT_SECRET: SECRET }, ["--user", "{a}"], /--user must be a name/],
    [
      "a time that is none",
      { JWT_SECRET: SECRET },
      ["--user", "a", "--ttl", "1y"],
      /--ttl is "1y"/,
    ],
    ["no time", { JWT_SECRET: SECRET }, ["--user", "a", "--ttl", "0h"], /--ttl is "0h"/],
    ["an unknown flag", { JWT_SECRET: SECRET }, ["--name", "a"], /roomcast token --help/],
  ])("with %s says what it needs", (_name, env, args, message) => {
    const { status, stdout, stderr } = roomcast(["token", ...args], env);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(message);
    expect(roomcast(["token", "--help"]).stdout).toContain("--ttl");
  });
});
