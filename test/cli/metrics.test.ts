import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { startServe } from "../support/serve.ts";

const onDispose = useDisposals();

/** The values of a metric, one for each instance. */
function valuesOf(text: string, name: string): number[] {
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`));
  return lines.map((line) => Number(line.slice(line.lastIndexOf(" "))));
}

test("serve has /metrics, with what happened and with what Node says of the process", async () => {
  const server = await startServe();
  onDispose(server.dispose);
  const client = await Client.connect(`${server.wsUrl}/ws?user=alice`);
  client.socket.send(JSON.stringify({ type: "join", room: "lobby" }));
  expect(await client.nextOfType("joined")).toMatchObject({ room: "lobby" });
  const response = await fetch(`${server.url}/metrics`);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  expect(valuesOf(text, "websocket_connections_active")).toEqual([1]);
  expect(valuesOf(text, "websocket_messages_received_total").sort()).toEqual([0, 1]);
  for (const name of [
    "websocket_message_processing_seconds_bucket",
    "nodejs_heap_size_used_bytes",
  ]) {
    expect(text).toContain(name);
  }
});

test("/metrics is for operators", async () => {
  const server = await startServe({ env: { ROOMCAST_API_KEY: "an-operators-key" } });
  onDispose(server.dispose);
  expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
  const headers = { Authorization: "Bearer an-operators-key" };
  expect((await fetch(`${server.url}/metrics`, { headers })).status).toBe(200);
  expect((await fetch(`${server.url}/metrics`, { headers, method: "POST" })).status).toBe(405);
});

test("of several workers each answers for all", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const server = await startServe({ args: ["--workers", "2"], env: { REDIS_URL: redis.url } });
  onDispose(server.dispose);
  for (let i = 0; i < 5; i++) onDispose(await connect(`${server.wsUrl}/ws?user=user${i}`));
  for (let i = 0; i < 4; i++) {
    // A connection of its own, so that now one worker answers, now the other.
    const response = await fetch(`${server.url}/metrics`, { headers: { Connection: "close" } });
    const counts = valuesOf(await response.text(), "websocket_connections_active");
    expect(counts).toHaveLength(2);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
  }
});

async function connect(url: string): Promise<() => void> {
  const { socket } = await Client.connect(url);
  return () => socket.terminate();
}
