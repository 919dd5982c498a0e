import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { apiKeyAuthenticator, jwtAuthenticator } from "roomcast/auth";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type Session, sessionAuthenticator } from "../support/session-authenticator.ts";
import { jwt } from "../support/tokens.ts";

const backendKey = "a-key-of-the-backend";

const router = new WebSocketRouter(new ConnectionManager(), {
  authenticate: [
    jwtAuthenticator({ jwksUrl: "https://issuer.example.org/keys", audience: "chat" }),
    apiKeyAuthenticator({ keys: { [backendKey]: { id: "backend", scopes: ["publish"] } } }),
  ],
  allowedOrigins: ["https://app.example.org"],
});

const SECRET = "a secret that is long enough for HS256";
const origin = "https://app.example.org";
const dispose = useDisposals();
const manager = new ConnectionManager();
const server = createServer();
let url = "";

const alice: Session = { userId: "alice", scopes: ["chat"], expiresAt: Date.now() + 3_600_000 };
const greet = {
  open: (connection: { userId: string | undefined; send(message: unknown): unknown }) =>
    connection.send(connection.userId),
};

beforeAll(async () => {
  router.scopes("/backend", ["publish"], greet).attach(server);
  new WebSocketRouter(manager, { authenticate: jwtAuthenticator({ secret: SECRET }) })
    .user("/token", greet)
    .attach(server);
  new WebSocketRouter(manager, {
    authenticate: sessionAuthenticator(async (id) => (id === "s1" ? alice : null)),
    allowedOrigins: [origin],
  })
    .user("/session", greet)
    .attach(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await manager.stop();
  server.closeAllConnections();
  server.close();
});

/** Whom the server takes this client for. */
async function greeting(
  path: string,
  options: WebSocket.ClientOptions = {},
  protocols: string[] = [],
): Promise<string> {
  const client = await Client.connect(url + path, options, protocols);
  dispose(() => client.close());
  return String(await client.next());
}

describe("a token is found", () => {
  const token = (): string =>
    jwt({ alg: "HS256" }, { sub: "alice", exp: Math.floor(Date.now() / 1000) + 60 }, SECRET);

  test("in the query, in Authorization, in X-API-Key and among the subprotocols", async () => {
    expect(await greeting(`/token?token=${token()}`)).toBe("alice");
    expect(await greeting("/token", { headers: { Authorization: `bearer ${token()}` } })).toBe(
      "alice",
    );
    expect(await greeting("/token", { headers: { "X-API-Key": token() } })).toBe("alice");
    expect(await greeting("/token", {}, ["bearer", token()])).toBe("alice");
    await expect(greeting("/token")).rejects.toThrow("401");
  });

  test("and judged, whatever else comes with it", async () => {
    const headers = { Authorization: `Bearer ${token()}x`, Cookie: "__Host-session=s1" };
    await expect(greeting("/session", { origin, headers })).rejects.toThrow("401");
  });
});

describe("the session cookie of the documentation", () => {
  const Cookie = "__Host-session=s1";

  test("lets a page of ours in as its user", async () => {
    expect(await greeting("/session", { origin, headers: { Cookie } })).toBe("alice");
  });

  test("does not let in pages of others, programs, or those without a session", async () => {
    const foreign = "https://evil.example";
    await expect(greeting("/session", { origin: foreign, headers: { Cookie } })).rejects.toThrow(
      "403",
    );
    await expect(greeting("/session", { headers: { Cookie } })).rejects.toThrow("401");
    await expect(greeting("/session", { origin })).rejects.toThrow("401");
  });
});

describe("the router of the documentation", () => {
  test("is shown there as it is used here", async () => {
    const page = await readFile(new URL("../../docs/authentication.md", import.meta.url), "utf8");
    const source = await readFile(new URL(import.meta.url), "utf8");
    const shown = /```ts\nimport[^`]*\n(const router[^`]*)```/.exec(page)?.[1];
    expect(shown).toContain("allowedOrigins");
    expect(source).toContain(shown);
  });

  test("lets the backend in by its key, and no other", async () => {
    const headers = { "X-API-Key": backendKey };
    expect(await greeting("/backend", { headers })).toBe("backend");
    await expect(
      greeting("/backend", { headers: { "X-API-Key": "another-key-12345" } }),
    ).rejects.toThrow("401");
  });
});
