import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeHttpHandler } from "../../src/cli/http.ts";
import { OperatorGuard } from "../../src/cli/operator-guard.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { RawClient } from "../support/raw-handshake.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";

const KEY = "an-api-key-of-good-length";
const dispose = useDisposals();
let server: ServeProcess;

beforeAll(async () => {
  server = await startServe({ env: { ROOMCAST_API_KEY: KEY } });
});

afterAll(() => server.dispose());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  { key = KEY, url = server.url }: { key?: string; url?: string } = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: key === "" ? {} : { Authorization: `Bearer ${key}` },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === "" ? {} : JSON.parse(text),
  };
}

async function enter(user: string, room: string): Promise<Client> {
  const client = await Client.connect(`${server.wsUrl}/ws?user=${user}`);
  dispose(() => client.close());
  client.send({ type: "join", room });
  await client.nextOfType("joined");
  return client;
}

describe("the HTTP API", () => {
  test("sends to everyone, a room and a user, and answers with the delivery", async () => {
    const alice = await enter("alice", "a room/1");
    const bob = await enter("bob", "elsewhere");
    const toRoom = await call("POST", "/api/rooms/a%20room%2F1/messages", {
      data: { n: 1 },
      from: "backend",
    });
    expect(toRoom).toMatchObject({ status: 200, body: { scope: "cluster", localRecipients: 1 } });
    expect(await alice.nextOfType("message")).toEqual({
      type: "message",
      from: "backend",
      room: "a room/1",
      data: { n: 1 },
    });

    expect((await call("POST", "/api/broadcast", { data: null })).body).toEqual({
      scope: "cluster",
      localRecipients: 2,
    });
    expect(await bob.nextOfType("message")).toEqual({ type: "message", data: null });

    expect((await call("POST", "/api/users/bob/messages", { data: "psst" })).body).toMatchObject({
      localRecipients: 1,
    });
    expect(await bob.nextOfType("dm")).toEqual({ type: "dm", data: "psst" });
  });

  test("stores what is sent to rooms, unless told otherwise, and reads it page by page", async () => {
    const ids: unknown[] = [];
    for (const data of ["one", "two", "three"]) {
      ids.push((await call("POST", "/api/rooms/log/messages", { data, persist: true })).body.id);
    }
    const ephemeral = await call("POST", "/api/rooms/log/messages", {
      data: "gone",
      persist: false,
    });
    expect(ephemeral.body.id).toBeUndefined();
    const first = await call("GET", "/api/rooms/log/history?limit=2");
    expect(first.body.messages).toMatchObject([
      { id: ids[0], prev: "0" },
      { id: ids[1], prev: ids[0] },
    ]);
    const rest = await call("GET", `/api/rooms/log/history?since=${first.body.next}`);
    expect(rest.body).toEqual({
      messages: [
        { id: ids[2], prev: ids[1], data: { type: "message", room: "log", data: "three" } },
      ],
    });
  });

  test("tells who is where, and disconnects a user everywhere", async () => {
    const carol = await enter("carol", "den");
    expect((await call("GET", "/api/rooms/den/users")).body).toEqual({
      users: ["carol"],
      count: 1,
    });
    expect((await call("GET", "/api/users/carol")).body).toMatchObject({ online: true });
    expect((await call("HEAD", "/api/users/carol")).status).toBe(200);
    expect((await call("DELETE", "/api/users/carol/connections")).status).toBe(204);
    expect(await carol.closed()).toEqual({ code: 4403, reason: "disconnected by an operator" });
    expect((await call("GET", "/api/users/carol")).body).toEqual({ online: false, instances: [] });
  });

  test.each<[string, string, string, unknown, number, RegExp]>([
    ["an unknown path", "GET", "/api/nothing", undefined, 404, /There are: POST \/api\/broadcast/],
    ["another method", "GET", "/api/broadcast", undefined, 405, /Allowed here: POST/],
    ["no JSON", "POST", "/api/broadcast", "data=x", 400, /not valid JSON/],
    ["JSON too deep", "POST", "/api/broadcast", "[".repeat(40), 400, /32 levels/],
    ["a list", "POST", "/api/broadcast", [1], 400, /JSON object/],
    ["nothing", "POST", "/api/broadcast", "", 400, /not valid JSON/],
    ["no data", "POST", "/api/broadcast", { from: "x" }, 400, /data is missing/],
    [
      "a sender that is no name",
      "POST",
      "/api/broadcast",
      { data: 1, from: "" },
      400,
      /from must be/,
    ],
    [
      "persist that is text",
      "POST",
      "/api/rooms/a/messages",
      { data: 1, persist: "yes" },
      400,
      /persist must be true or false/,
    ],
    [
      "persist for everyone",
      "POST",
      "/api/broadcast",
      { data: 1, persist: true },
      400,
      /rooms only/,
    ],
    [
      "persist for a user",
      "POST",
      "/api/users/a/messages",
      { data: 1, persist: true },
      400,
      /rooms only/,
    ],
    [
      "a room that is no name",
      "POST",
      "/api/rooms/%7Bx%7D/messages",
      { data: 1 },
      400,
      /room must be 1 to 256 bytes/,
    ],
    [
      "a user that is no name",
      "GET",
      `/api/users/${"x".repeat(257)}`,
      undefined,
      400,
      /user must be/,
    ],
    [
      "a limit that is none",
      "GET",
      "/api/rooms/a/history?limit=ten",
      undefined,
      400,
      /limit must be a whole number/,
    ],
    ["a position that is none", "GET", "/api/rooms/a/history?since=x", undefined, 400, /position/],
    [
      "a body that is too large",
      "POST",
      "/api/broadcast",
      { data: "x".repeat(1_100_000) },
      413,
      /1049600 bytes/,
    ],
  ])("says what is allowed instead of %s", async (_name, method, path, body, status, message) => {
    const answer = await call(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.body.message).toMatch(message);
  });

  test("asks for an upgrade where a WebSocket belongs", async () => {
    expect((await call("GET", "/ws")).status).toBe(426);
  });
});

describe("the API key", () => {
  test.each(["/api/users/alice", "/dashboard", "/metrics", "/ws/stats"])(
    "is needed for %s",
    async (path) => {
      const refused = await call("GET", path, undefined, { key: "" });
      expect(refused.status).toBe(401);
      expect(refused.headers.get("www-authenticate")).toBe("Bearer");
      const headers = { Authorization: `Bearer ${KEY}` };
      expect((await fetch(server.url + path, { headers })).status).not.toBe(401);
    },
  );

  test.each(["/", "/health", "/health/live"])("is not needed for %s", async (path) => {
    expect((await fetch(server.url + path)).status).toBe(200);
  });

  test("may come in X-API-Key; two that differ are a bad request", async () => {
    const headers = { "X-API-Key": KEY };
    expect((await fetch(`${server.url}/ws/stats`, { headers })).status).toBe(200);
    const both = { ...headers, Authorization: "Bearer another-key-of-good-length" };
    expect((await fetch(`${server.url}/ws/stats`, { headers: both })).status).toBe(400);
  });

  test("may be wrong five times a minute; then nobody at that address gets in", async () => {
    const guarded = await startServe({ env: { ROOMCAST_API_KEY: KEY } });
    dispose(() => guarded.dispose());
    const { url } = guarded;
    for (let i = 0; i < 5; i++) {
      const wrong = await call("GET", "/ws/stats", undefined, {
        key: `wrong-key-number-${i}`,
        url,
      });
      expect(wrong.status).toBe(401);
    }
    const late = await call("GET", "/ws/stats", undefined, { url });
    expect(late.status).toBe(429);
    expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(50);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });
});

describe("without a key", () => {
  async function ask(port: number, ...headers: string[]): Promise<number | undefined> {
    const client = await RawClient.connect(port);
    dispose(() => client.dispose());
    const host = headers.some((line) => line.startsWith("Host:"))
      ? []
      : [`Host: localhost:${port}`];
    client.write(["GET /ws/stats HTTP/1.1", ...host, ...headers, "", ""].join("\r\n"));
    return (await client.answer())?.status;
  }

  test("operators are whoever is on this machine, not who comes through a proxy or a page", async () => {
    const { port, dispose: end } = await startServe();
    dispose(end);
    expect(await ask(port)).toBe(200);
    expect(await ask(port, `Host: 127.0.0.1:${port}`)).toBe(200);
    expect(await ask(port, `Origin: http://localhost:${port}`)).toBe(200);
    for (const header of [
      "X-Forwarded-For: 192.0.2.1",
      "Forwarded: for=192.0.2.1",
      "Via: 1.1 proxy",
      "X-Real-IP: 127.0.0.1",
      "Origin: https://evil.example",
      "Origin: null",
      "Host: rebound.example",
      "Host: [",
    ]) {
      expect([header, await ask(port, header)]).toEqual([header, 403]);
    }
  });
});

test("what was to be stored and cannot be is a 503; a fault of ours a 500 that says nothing", async () => {
  // Not started, so that it has no backplane: as while that is away.
  const manager = new ConnectionManager({
    rooms: { "*": { history: {}, whenUnavailable: "ephemeral" } },
  });
  const errors: unknown[] = [];
  manager.on("error", (error, { stage }) => errors.push([String(error), stage]));
  const rules = { apiKey: null, jwt: null, origins: undefined, trustProxy: [] };
  const http = createServer(
    makeHttpHandler(manager, {
      guard: new OperatorGuard(rules),
      isForUs: () => true,
      authenticate: null,
      maxMemoryBytes: null,
    }),
  ).listen(0, "127.0.0.1");
  await once(http, "listening");
  dispose(() => http.close());
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const path = "/api/rooms/a/messages";
  const stored = await call("POST", path, { data: 1, persist: true }, { url });
  expect(stored).toMatchObject({ status: 503, body: { error: "backplane_unavailable" } });
  expect(stored.headers.get("retry-after")).toBe("5");
  const sent = await call("POST", path, { data: 1 }, { url });
  expect(sent).toMatchObject({ status: 200, body: { scope: "instance" } });

  errors.length = 0;
  manager.health = () => Promise.reject(new Error("secret detail"));
  const failed = await call("GET", "/health", undefined, { url });
  expect(failed).toMatchObject({ status: 500, body: { error: "internal_error" } });
  expect(JSON.stringify(failed.body)).not.toContain("secret");
  expect(errors).toEqual([["Error: secret detail", "http"]]);
});
