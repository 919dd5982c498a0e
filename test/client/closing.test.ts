import { expect, test } from "vitest";
import type { WebSocket } from "ws";
import {
  ConnectionClosedError,
  WebSocketClient,
  type WebSocketClientOptions,
} from "../../src/client.ts";
import { accepted, http, startBadServer } from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";
import { startSocketServer } from "../support/socket-server.ts";

const onDispose = useDisposals();

async function start(serve?: (socket: WebSocket, number: number) => void): Promise<string> {
  const server = await startSocketServer(serve);
  onDispose(server.dispose);
  return server.url;
}

function client(url: string, options: WebSocketClientOptions = {}): WebSocketClient {
  const made = new WebSocketClient(url, {
    ...options,
    config: { reconnectBackoffBaseMs: 10, reconnectMaxAttempts: 0, ...options.config },
  });
  onDispose(() => made.close());
  return made;
}

test("closing in a listener of error is the end, also while it reconnects", async () => {
  const server = await startBadServer((socket, key) => {
    if (server.requests.length > 1) socket.end(http("503 Service Unavailable"));
    else socket.write(accepted(key), () => socket.resetAndDestroy());
  });
  onDispose(server.dispose);
  const one = client(server.url);
  const told: string[] = [];
  one.on("close", () => told.push("close"));
  one.on("reconnecting", () => told.push("reconnecting"));
  const closed = new Promise<void>((resolve) => one.on("error", () => resolve(one.close())));
  await one.connect();
  await closed;
  expect(one.state).toBe("closed");
  expect(told).toEqual(["reconnecting", "close"]);
});

test("a listener of close that connects anew keeps nobody from seeing that it was closed", async () => {
  const one = client(await start());
  await one.connect();
  const reopened = new Promise<void>((resolve) => {
    const off = one.on("close", () => {
      off();
      resolve(one.connect());
    });
  });
  const reading = (async () => {
    for await (const _message of one);
  })();
  await Promise.all([one.close(), reading, reopened]);
  expect(one.isConnected).toBe(true);
  const closing = one.close();
  expect(one.state).toBe("closing");
  await closing;
  expect(one.state).toBe("closed");
});

test("what waits for the end to connect anew is told when it is not wanted any more", async () => {
  const url = await start();
  const one = client(url);
  await one.connect();
  const closing = one.close();
  const again = one.connect().catch((error: unknown) => error);
  await Promise.all([closing, one.close(3001)]);
  expect(await again).toBeInstanceOf(ConnectionClosedError);
  expect(one.state).toBe("closed");

  const stop = new AbortController();
  const other = client(url, { signal: stop.signal });
  await other.connect();
  const ending = other.close();
  const anew = other.connect().catch((error: unknown) => error);
  stop.abort(new Error("enough"));
  await ending;
  expect(await anew).toMatchObject({ message: "enough" });
  expect(other.state).toBe("closed");
});

test("closing does not wait for messages that nobody reads", async () => {
  const count = 300;
  const url = await start((socket) => {
    for (let i = 0; i < count; i++) socket.send("x".repeat(100_000));
  });
  const one = client(url, { config: { maxQueueSize: 4, closeTimeoutMs: 3_600_000 } });
  await one.connect();
  await one.close();
  // It was not cut: the answer of the server comes after everything it had sent before.
  let got = 0;
  for await (const _message of one) got++;
  expect(got).toBe(count);
});
