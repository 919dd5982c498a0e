import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { extractToken, jwtAuthenticator } from "../../src/auth.ts";
import { readJson } from "../../src/cli/http-json.ts";
import {
  AuthenticationError,
  BackplaneUnavailableError,
  ConfigurationError,
  ConnectionClosedError,
  ConnectionManager,
  loadConfig,
  MessageTooLargeError,
  WebSocketError,
} from "../../src/index.ts";
import { useDisposals } from "../support/disposals.ts";
import { keySetServer } from "../support/key-set-server.ts";
import { startManager } from "../support/manager-server.ts";
import { requestReader } from "../support/raw-request.ts";
import { ask, jwt, p256 } from "../support/tokens.ts";

const dispose = useDisposals();

/** What a promise rejects with, or a function throws. */
async function failure(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

test("ConnectionClosedError: a ping to a connection that has ended", async () => {
  const { connect, dispose: end } = await startManager();
  dispose(end);
  const { client, connection } = await connect("alice");
  const closed = new Promise((resolve) => connection.on("close", resolve));
  const pending = failure(() => connection.ping());
  await client.close(4000);
  await closed;
  // The one that was under way may have been answered before the end.
  await pending.catch(() => {});
  const error = await failure(() => connection.ping());
  expect(error).toBeInstanceOf(ConnectionClosedError);
  expect(error).toMatchObject({ code: "connection_closed", closeCode: 4000 });
});

test("AuthenticationError: a request with two different tokens", async () => {
  const reader = await requestReader();
  dispose(() => reader.dispose());
  const request = await reader.read("/?token=one", ["Authorization: Bearer two"]);
  if (request === null) throw new Error("Node refused the request");
  const error = await failure(() => extractToken(request));
  expect(error).toBeInstanceOf(AuthenticationError);
  expect(error).toMatchObject({ code: "conflicting_credentials" });
});

test("MessageTooLargeError: a body over the limit of the HTTP API", async () => {
  const failed = new Promise((resolve) => {
    const server = createServer((request, response) => {
      failure(() => readJson(request, 10))
        .then(resolve)
        .finally(() => response.end());
    }).listen(0, "127.0.0.1");
    dispose(() => server.close());
    void once(server, "listening").then(() =>
      fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
        method: "POST",
        body: "more than ten bytes",
      }),
    );
  });
  expect(await failed).toBeInstanceOf(MessageTooLargeError);
  expect(await failed).toMatchObject({ code: "message_too_large", size: 19, limit: 10 });
});

test("BackplaneUnavailableError: a durable message while the backplane is away", async () => {
  const manager = new ConnectionManager({ rooms: { "*": { history: {} } } });
  const error = await failure(() => manager.broadcastToRoom("log", "x"));
  expect(error).toBeInstanceOf(BackplaneUnavailableError);
  expect(error).toMatchObject({ code: "backplane_unavailable", outcome: "not-stored" });
});

test("ConfigurationError: a variable that is not understood", async () => {
  const error = await failure(() => loadConfig({ WS_PING_INTERVAL: "-1" }));
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error).toMatchObject({ code: "invalid_configuration" });
});

test("WebSocketError: keys that cannot be fetched from where they are published", async () => {
  const issuer = await keySetServer();
  await issuer.stop();
  const authenticate = jwtAuthenticator({ jwksUrl: issuer.url });
  const error = await failure(() => ask(authenticate, jwt({ alg: "ES256" }, {}, p256.privateKey)));
  expect(error).toBeInstanceOf(WebSocketError);
  expect(error).toMatchObject({ code: "keys_unavailable" });
});

test("each is described where users look", async () => {
  const page = await readFile(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const source = await readFile(new URL("../../src/protocol/errors.ts", import.meta.url), "utf8");
  const names = Array.from(source.matchAll(/export class (\w+)/g), ([, name]) => name);
  expect(names.length).toBeGreaterThanOrEqual(7);
  for (const name of names) expect(page).toContain(`\`${name}\``);
});
