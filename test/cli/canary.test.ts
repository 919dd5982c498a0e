import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { handshake, RawClient } from "../support/raw-handshake.ts";
import { startServe } from "../support/serve.ts";
import { jwt } from "../support/tokens.ts";

const SECRET = "a secret that is long enough for HS256, and a CANARY-secret";
const KEY = "CANARY-api-key-of-good-length";
const dispose = useDisposals();

/** Every place a token can be, with a target and headers that carry it there. */
const PLACES: Record<string, (token: string) => [target: string, headers: Record<string, string>]> =
  {
    "the query": (token) => [`/ws?token=${token}`, {}],
    "an encoded name in the query": (token) => [`/ws?%74oken=${token}`, {}],
    "the query of a path nobody serves": (token) => [`/nowhere?token=${token}`, {}],
    "another name in the query": (token) => [`/ws?access_token=${token}`, {}],
    Authorization: (token) => ["/ws", { Authorization: `Bearer ${token}` }],
    "X-API-Key": (token) => ["/ws", { "X-API-Key": token }],
    "the subprotocols": (token) => ["/ws", { "Sec-WebSocket-Protocol": `bearer, ${token}` }],
    "a cookie": (token) => ["/ws", { Cookie: `__Host-session=${token}` }],
    "two places": (token) => [`/ws?token=${token}`, { Authorization: `Bearer ${token}2` }],
    "a foreign page": (token) => [`/ws?token=${token}`, { Origin: "https://evil.example" }],
    "an old version": (token) => [`/ws?token=${token}`, { "Sec-WebSocket-Version": "8" }],
  };

test("no token, key or secret shows in logs, errors, pages or answers", async () => {
  const server = await startServe({ env: { JWT_SECRET: SECRET, ROOMCAST_API_KEY: KEY } });
  dispose(server.dispose);
  const seen: string[] = [];
  const claims = { sub: "alice", exp: Math.floor(Date.now() / 1000) + 60 };
  const good = jwt({ alg: "HS256" }, claims, SECRET);
  const expired = jwt({ alg: "HS256" }, { ...claims, exp: 1 }, SECRET);
  const secrets = [good, expired, "CANARY"];

  for (const [place, carry] of Object.entries(PLACES)) {
    for (const token of [good, expired, "CANARY-token", `CANARY-${"x".repeat(9000)}`]) {
      const [target, headers] = carry(token);
      const client = await RawClient.connect(server.port);
      dispose(() => client.dispose());
      client.write(handshake(target, headers));
      const answer = await client.answer();
      seen.push(
        `${place}: ${answer?.status} ${JSON.stringify([...(answer?.headers ?? [])])} ${answer?.body}`,
      );
      const plain = await fetch(server.url + target, {
        headers: { ...headers, Connection: "close" },
      });
      seen.push(JSON.stringify([...plain.headers]), await plain.text());
    }
  }
  // Somebody is connected with a token while the pages and figures are asked for.
  const client = await Client.connect(`${server.wsUrl}/ws?token=${good}`);
  client.send("no JSON");
  client.send({ type: "join", room: "lobby" });
  seen.push(JSON.stringify(await client.nextOfType("joined")));
  for (const path of [
    "/",
    "/dashboard",
    "/metrics",
    "/ws/stats",
    "/health",
    "/api/users/alice",
    "/api/nothing",
  ]) {
    for (const key of [KEY, "CANARY-wrong-key-of-good-length"]) {
      const answer = await fetch(server.url + path, {
        headers: { Authorization: `Bearer ${key}` },
      });
      seen.push(JSON.stringify([...answer.headers]), await answer.text());
    }
  }
  expect(await server.stop()).toBe(0);
  seen.push(...client.waiting.map(String), JSON.stringify(await client.closed()), server.output());

  const everything = seen.join("\n");
  expect(everything).toContain("alice");
  for (const secret of secrets) expect(everything).not.toContain(secret);
});

test("the refusals an instance logs tell the URL without its token", async () => {
  const { startManager } = await import("../support/manager-server.ts");
  const lines: object[] = [];
  const log = (fields: object): void => void lines.push(fields);
  const { url, dispose: end } = await startManager({
    logger: { debug: log, info: log, warn: log, error: log },
    router: { authenticate: () => Promise.reject(new Error("the store is away")) },
  });
  dispose(end);
  await expect(Client.connect(`${url}/?a=1&token=CANARY`)).rejects.toThrow("503");
  await expect(Client.connect(`${url}/`, {}, ["bearer", "CANARY"])).rejects.toThrow();
  expect(lines).toContainEqual(
    expect.objectContaining({ status: 503, url: '"/?a=1&token=REDACTED"' }),
  );
  expect(JSON.stringify(lines)).not.toContain("CANARY");
});
