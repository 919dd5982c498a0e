import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { connections } from "../../src/client/connections.ts";
import { nodeRuntime } from "../../src/client/runtime/node-runtime.ts";
import {
  AuthenticationError,
  type BaseClient,
  type ClientConfig,
  ConnectionClosedError,
  ConnectionFailedError,
  connect,
  type WebSocketClientOptions,
} from "../../src/client.ts";
import { accepted, http, type Misdeed, startBadServer } from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

const QUICK: Partial<ClientConfig> = {
  reconnectBackoffBaseMs: 10,
  reconnectBackoffMaxMs: 50,
  reconnectMaxAttempts: 3,
};

/** A server that does this with each connection: its number, from 1, is given. */
async function startServer(serve: (socket: WebSocket, number: number) => void): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  onDispose(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  let number = 0;
  server.on("connection", (socket) => serve(socket, ++number));
  await once(server, "listening");
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Goes through the connections, and says what became of the loop: how many there were, and what it threw. */
async function loop(
  url: string,
  options: WebSocketClientOptions,
  body: (socket: BaseClient, count: number) => unknown = () => {},
): Promise<{ count: number; error: unknown }> {
  let count = 0;
  try {
    for await (const socket of connect(url, { config: QUICK, ...options })) {
      await body(socket, ++count);
    }
    return { count, error: null };
  } catch (error) {
    return { count, error };
  }
}

/** Reads until the connection ends, in whatever way. */
const untilEnd = async (socket: BaseClient): Promise<void> => {
  await new Promise((resolve) => socket.on("close", resolve));
};

test("a connection that is open when the loop goes on is closed, and another one comes", async () => {
  const closes: number[] = [];
  const url = await startServer((socket) => socket.on("close", (code) => closes.push(code)));
  const seen: BaseClient[] = [];
  const { count, error } = await loop(url, {}, async (socket) => {
    seen.push(socket);
    expect(seen.map((each) => each.isConnected)).toEqual(seen.map((_, i) => i === seen.length - 1));
    if (seen.length === 3) await socket.close(3000, "enough");
  });
  // Its own close is the end of the loop, and no error.
  expect([count, error]).toEqual([3, null]);
  await expect.poll(() => closes).toEqual([1000, 1000, 3000]);
});

test("connections that were good are no attempts in a row, though the loop leaves them open", async () => {
  const url = await startServer(() => {});
  let now = 0;
  const runtime = { ...nodeRuntime, now: () => now };
  let count = 0;
  for await (const socket of connections(runtime, url, { config: QUICK })) {
    count++;
    // Whatever lasts five seconds is good.
    now += 5000;
    if (count === 10) await socket.close();
  }
  expect(count).toBe(10);
});

test.each([4403, 4409])("close code %i ends the loop with an error that has it", async (code) => {
  const url = await startServer((socket, number) => socket.close(number < 3 ? 1012 : code));
  const { count, error } = await loop(url, {}, untilEnd);
  expect(count).toBe(3);
  expect(error).toBeInstanceOf(ConnectionClosedError);
  expect(error).toMatchObject({ closeCode: code });
});

test("a normal close ends the loop", async () => {
  const url = await startServer((socket) => socket.close(1000));
  expect(await loop(url, {}, untilEnd)).toEqual({ count: 1, error: null });
});

test("when attempts enough have failed the loop ends with what the last one met", async () => {
  const bad: Misdeed = (socket) => socket.end(http("503 Service Unavailable"));
  let connections = 0;
  const server = await startBadServer((socket, key) => {
    if (connections++ > 0) bad(socket, key);
    else socket.write(accepted(key), () => socket.resetAndDestroy());
  });
  onDispose(server.dispose);
  const { count, error } = await loop(server.url, {}, untilEnd);
  expect(count).toBe(1);
  expect(error).toBeInstanceOf(ConnectionFailedError);
  expect(error).toMatchObject({ status: 503 });
  expect(server.requests).toHaveLength(1 + 3);
});

test("the first attempt is not repeated, but a refused credential is renewed once", async () => {
  const failing = await startBadServer((socket) => socket.end(http("503 Service Unavailable")));
  onDispose(failing.dispose);
  const failed = await loop(failing.url, {});
  expect(failed.error).toBeInstanceOf(ConnectionFailedError);
  expect(failing.requests).toHaveLength(1);

  const strict = await startBadServer((socket, key) => {
    const good = strict.requests.at(-1)?.includes("Bearer t2");
    socket.write(good ? accepted(key) : http("401 Unauthorized"));
    if (!good) socket.end();
  });
  onDispose(strict.dispose);
  let tokens = 0;
  const config = { ...QUICK, closeTimeoutMs: 100 };
  const renewed = await loop(strict.url, { config, token: () => `t${++tokens}` }, (socket) =>
    socket.close(),
  );
  expect(renewed).toEqual({ count: 1, error: null });
  expect(tokens).toBe(2);
  const refused = await loop(strict.url, { token: () => "old" });
  expect(refused.error).toBeInstanceOf(AuthenticationError);
});

test("a signal ends the loop, whether it waits for a message or for the next connection", async () => {
  const url = await startServer((socket, number) => {
    if (number > 1) socket.close(4000);
  });
  const open = new AbortController();
  const reading = loop(url, { signal: open.signal }, async (socket) => {
    open.abort();
    for await (const _message of socket);
  });
  expect(await reading).toEqual({ count: 1, error: null });

  const waiting = new AbortController();
  const hour = 3_600_000;
  const config = { reconnectBackoffBaseMs: hour, reconnectBackoffMaxMs: hour };
  const patient = loop(url, { signal: waiting.signal, config }, async (socket) => {
    await untilEnd(socket);
    setImmediate(() => waiting.abort());
  });
  expect(await patient).toEqual({ count: 1, error: null });
});

test("each connection goes on where the application stood on the last, not where the last had read to", async () => {
  const server = await startManager({
    rooms: { "*": { history: { maxLength: 100 } } },
    router: {
      authenticate: () => ({ id: "ann", scopes: [], claims: {}, via: "test" }),
    },
  });
  onDispose(server.dispose);
  const { manager } = server;
  manager.on("connect", (connection) => void manager.joinRoom(connection, "lobby"));
  const got: unknown[] = [];
  const subprotocols = ["roomcast.v1"];
  await loop(server.url, { subprotocols }, async (socket, count) => {
    if (count === 1) {
      for (let i = 0; i < 6; i++) await manager.broadcastToRoom("lobby", String(i));
    }
    // Two of them from each connection, though all that are left came.
    got.push(await socket.recv(), await socket.recv());
    if (count === 3) await socket.close();
  });
  expect(got).toEqual(["0", "1", "2", "3", "4", "5"]);
});
