import { getEventListeners, setMaxListeners } from "node:events";
import { expect, test } from "vitest";
import { WebSocketClient } from "../../src/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { freePort } from "../support/free-port.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();

const CLIENTS = 200;
const RESTARTS = 10;
const BUCKET_MS = 100;

/** How many timers or sockets keep this process alive. */
function countOf(resources: readonly string[], name: string): number {
  return resources.filter((resource) => resource === name).length;
}

/** Prints how many took how long. */
function histogram(times: readonly number[]): string {
  const counts = new Map<number, number>();
  for (const ms of times) {
    const bucket = Math.floor(ms / BUCKET_MS);
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([bucket, count]) => {
      const bar = "#".repeat(Math.ceil((count / most) * 50));
      return `${String(bucket * BUCKET_MS).padStart(6)} ms ${bar} ${count}`;
    })
    .join("\n");
}

test("200 clients come back each time a server is killed, with one connection each, and leave nothing behind", async () => {
  const port = await freePort();
  const start = async () => {
    const server = await startServe({ env: { PORT: String(port) } });
    onDispose(server.dispose);
    return server;
  };
  let server = await start();
  const stop = new AbortController();
  setMaxListeners(CLIENTS, stop.signal);
  const before = process.getActiveResourcesInfo();
  const config = {
    reconnectBackoffBaseMs: 100,
    reconnectBackoffMaxMs: 1000,
    reconnectJitter: 0.5,
    reconnectMaxAttempts: 0,
  };
  const clients = Array.from({ length: CLIENTS }, (_, i) => {
    const url = `${server.wsUrl}/ws?user=u${i}`;
    return new WebSocketClient(url, {
      config,
      subprotocols: ["roomcast.v1"],
      signal: stop.signal,
    });
  });
  onDispose(() => Promise.all(clients.map((client) => client.close())));
  const lostAt = new Map<WebSocketClient, number>();
  const times: number[] = [];
  for (const client of clients) {
    client.on("message", () => {});
    client.on("reconnecting", () => {
      if (!lostAt.has(client)) lostAt.set(client, performance.now());
    });
    client.on("open", () => {
      const since = lostAt.get(client);
      if (since !== undefined) times.push(performance.now() - since);
      lostAt.delete(client);
    });
  }
  await Promise.all(clients.map((client) => client.connect()));

  const serverConnections = async (): Promise<number> => {
    const response = await fetch(`${server.url}/ws/stats`);
    const { connections } = (await response.json()) as { connections: number };
    return connections;
  };
  for (let i = 1; i <= RESTARTS; i++) {
    await server.dispose();
    server = await start();
    await expect.poll(() => times.length).toBe(i * CLIENTS);
    expect(clients.filter((client) => client.isConnected)).toHaveLength(CLIENTS);
    // Each of them has one, and nobody a second.
    expect(await serverConnections()).toBe(CLIENTS);
  }
  console.log(`Time until ${times.length} reconnects:\n${histogram(times)}`);

  await Promise.all(clients.map((client) => client.close()));
  await expect.poll(serverConnections).toBe(0);
  // Some are the test's own; one for each client would be too many.
  for (const resource of ["Timeout", "TCPSocketWrap", "TCPConnectWrap"]) {
    await expect
      .poll(() => countOf(process.getActiveResourcesInfo(), resource))
      .toBeLessThan(countOf(before, resource) + CLIENTS / 10);
  }
  expect(getEventListeners(stop.signal, "abort")).toEqual([]);
});
