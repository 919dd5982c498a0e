import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { WebSocketClientOptions } from "../../src/client/options.ts";
import { nodeRuntime } from "../../src/client/runtime/node-runtime.ts";
import type { Runtime } from "../../src/client/runtime/runtime.ts";
import { BaseClient } from "../../src/client/web-socket-client.ts";
import type { ReconnectingEvent } from "../../src/client.ts";
import { accepted, http, startBadServer } from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";

const onDispose = useDisposals();

/** A clock that stands still until it is told, and dice that always fall the same; sockets are real. */
class Clock {
  #now = 0;
  readonly #timers: Set<{ at: number; callback: () => void }> = new Set();
  readonly runtime: Runtime = {
    ...nodeRuntime,
    now: () => this.#now,
    random: () => 0.5,
    schedule: (ms, callback) => {
      const timer = { at: this.#now + ms, callback };
      this.#timers.add(timer);
      return () => this.#timers.delete(timer);
    },
  };

  /** How many timers run. */
  get size(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }
}

function start(url: string, clock: Clock, options: WebSocketClientOptions = {}): BaseClient {
  const client = new BaseClient(clock.runtime, url, options);
  onDispose(() => client.close());
  return client;
}

const next = (client: BaseClient): Promise<ReconnectingEvent> =>
  new Promise((resolve) => {
    const off = client.on("reconnecting", (event) => {
      off();
      resolve(event);
    });
  });

test("with the defaults there are five attempts, after half of 1, 2, 4, 8 and 16 s with dice that fall in the middle", async () => {
  const server = await startBadServer((socket, key) => {
    if (server.requests.length > 1) socket.end(http("503 Service Unavailable"));
    else socket.write(accepted(key), () => socket.resetAndDestroy());
  });
  onDispose(server.dispose);
  const clock = new Clock();
  const client = start(server.url, clock);
  const closed = new Promise((resolve) => client.on("close", resolve));
  const errors: Error[] = [];
  client.on("error", (error) => errors.push(error));
  let waiting = next(client);
  await client.connect();
  for (const [attempt, delayMs] of [500, 1000, 2000, 4000, 8000].entries()) {
    expect(await waiting).toMatchObject({ attempt: attempt + 1, delayMs });
    waiting = next(client);
    clock.advance(delayMs - 1);
    expect([client.state, server.requests.length]).toEqual(["reconnecting", attempt + 1]);
    clock.advance(1);
  }
  expect(await closed).toEqual({ code: 1006, reason: "" });
  expect(server.requests).toHaveLength(6);
  expect(clock.size).toBe(0);
  // It says why, and by what it can be changed.
  expect(errors.at(-1)?.message).toMatch(
    /^Gave up after 5 attempts \(config.reconnectMaxAttempts\)/,
  );
});

test("a connection that lasted five seconds begins the count anew, a shorter one does not", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  const sockets: WebSocket[] = [];
  server.on("connection", (socket) => sockets.push(socket));
  onDispose(() => server.close());
  await once(server, "listening");
  const clock = new Clock();
  const client = start(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, clock);
  await client.connect();
  const attempts: number[] = [];
  for (const lastedMs of [0, 4999, 5000, 4999]) {
    await expect.poll(() => sockets.length).toBe(attempts.length + 1);
    clock.advance(lastedMs);
    const waiting = next(client);
    sockets.at(-1)?.close(1012);
    const { attempt, delayMs } = await waiting;
    attempts.push(attempt);
    const open = new Promise((resolve) => client.on("open", resolve));
    clock.advance(delayMs ?? 0);
    await open;
  }
  expect(attempts).toEqual([1, 2, 1, 2]);
  await client.close();
  expect(clock.size).toBe(0);
});

test("silence counts as the end when the ping timeout is over, and not before", async () => {
  const silent = await startBadServer((socket, key) => socket.write(accepted(key)));
  onDispose(silent.dispose);
  const clock = new Clock();
  const client = start(silent.url, clock, { config: { reconnectEnabled: false } });
  const closed = new Promise((resolve) => client.on("close", resolve));
  await client.connect();
  clock.advance(19_999);
  expect(client.state).toBe("open");
  clock.advance(1);
  expect(await closed).toEqual({ code: 1006, reason: "" });
  expect(clock.size).toBe(0);
});
