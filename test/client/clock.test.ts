import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { WebSocketClientOptions } from "../../src/client/options.ts";
import { BaseClient } from "../../src/client/web-socket-client.ts";
import type { ReconnectingEvent } from "../../src/client.ts";
import { accepted, http, startBadServer } from "../support/bad-server.ts";
import { useDisposals } from "../support/disposals.ts";
import { Clock } from "./clock.ts";

const onDispose = useDisposals();

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
  // It says why, and by what it can be changed.
  const reason = "gave up, by config.reconnectMaxAttempts";
  expect(await closed).toEqual({ code: 1006, reason });
  expect(server.requests).toHaveLength(6);
  expect(clock.size).toBe(0);
  expect(errors).toHaveLength(5);
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

test("a connection is looked after when the page is seen, and a dead one is left three seconds later", async () => {
  const silent = await startBadServer((socket, key) => socket.write(accepted(key)));
  onDispose(silent.dispose);
  const clock = new Clock();
  const client = start(silent.url, clock, {
    config: { reconnectEnabled: false, pingTimeoutMs: 20_000 },
  });
  const closed = new Promise((resolve) => client.on("close", resolve));
  await client.connect();
  clock.wake("visible");
  clock.advance(1500);
  // Being seen once more does not put it off.
  clock.wake("visible");
  clock.advance(1499);
  expect(client.state).toBe("open");
  clock.advance(1);
  expect(await closed).toEqual({ code: 1006, reason: "" });
  expect(clock.size).toBe(0);
});

test("a timer that is late shows that this process stood still, which is no reason to leave", async () => {
  const silent = await startBadServer((socket, key) => socket.write(accepted(key)));
  onDispose(silent.dispose);
  const clock = new Clock();
  const client = start(silent.url, clock, { config: { reconnectEnabled: false } });
  const closed = new Promise((resolve) => client.on("close", resolve));
  await client.connect();
  // Everything that was due is due now, as after a night in which the computer slept.
  clock.jump(3_600_000);
  expect(client.state).toBe("open");
  // An answer that waits has come by then.
  clock.advance(3000);
  expect(await closed).toEqual({ code: 1006, reason: "" });
});

test("ids of requests are not those of another client, however its dice fall", async () => {
  const ids = new Set<string>();
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: () => "roomcast.v1",
  });
  onDispose(() => server.close());
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      const { id } = JSON.parse(String(data));
      if (id !== undefined) socket.send(JSON.stringify({ type: "ack", id: ids.add(id) && id }));
    });
  });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  for (let i = 0; i < 5; i++) {
    const options = { subprotocols: ["roomcast.v1"] };
    const client = start(`ws://127.0.0.1:${port}`, new Clock(), options);
    await client.connect();
    await Promise.all([client.request("a"), client.request("b")]);
    await client.close();
  }
  expect(ids.size).toBe(10);
  for (const id of ids) expect(id.length).toBeLessThanOrEqual(128);
});
