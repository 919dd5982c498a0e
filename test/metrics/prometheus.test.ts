import { readFileSync } from "node:fs";
import { join } from "node:path";
import client, { Registry } from "prom-client";
import { expect, test } from "vitest";
import { TaskQueue } from "../../src/index.ts";
import { READINGS } from "../../src/metrics/readings.ts";
import { prometheusMetrics } from "../../src/metrics.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";
import { repositoryRoot } from "../support/repository.ts";

const onDispose = useDisposals();

/** A manager whose metrics can be scraped. */
async function startCounted(options: Parameters<typeof startManager>[0] = {}) {
  const server = await startManager({ instanceId: "one", ...options });
  onDispose(server.dispose);
  const register = new Registry();
  const end = prometheusMetrics(server.manager, { client, register });
  /** series → value, as Prometheus would read them. */
  const scrape = async (): Promise<Record<string, number>> => {
    const lines = (await register.metrics()).split("\n");
    const series = lines.filter((line) => line !== "" && !line.startsWith("#"));
    return Object.fromEntries(
      series.map((line) => {
        const space = line.lastIndexOf(" ");
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
    );
  };
  return { ...server, register, scrape, end };
}

test("what was received is counted once, what was sent by its recipients", async () => {
  const { manager, router, url, scrape } = await startCounted();
  router.public("/room", {
    open: (connection) => connection.join("lobby"),
    message: (_connection, message) => manager.broadcastToRoom("lobby", message),
  });
  const clients = [];
  for (let i = 0; i < 3; i++) clients.push(await Client.connect(`${url}/room`));
  const [first] = clients;
  first?.socket.send("text");
  first?.socket.send(Buffer.from("binary"));
  for (const one of clients) {
    expect(await one.next()).toBe("text");
    expect(String(await one.next())).toBe("binary");
  }
  await manager.broadcast({ to: "all" });
  for (const one of clients) await one.next();
  const series = await scrape();
  expect(series).toMatchObject({
    'websocket_connections_total{instance="one"}': 3,
    'websocket_connections_active{instance="one"}': 3,
    'websocket_rooms_active{instance="one"}': 1,
    'websocket_messages_received_total{instance="one",type="text"}': 1,
    'websocket_messages_received_total{instance="one",type="binary"}': 1,
    'websocket_messages_sent_total{instance="one",type="room"}': 6,
    'websocket_messages_sent_total{instance="one",type="broadcast"}': 3,
    'websocket_messages_sent_total{instance="one",type="user"}': 0,
    'websocket_message_processing_seconds_count{instance="one",type="text"}': 1,
    'websocket_message_processing_seconds_bucket{instance="one",type="binary",le="+Inf"}': 1,
    'websocket_bytes_received_total{instance="one"}': "text".length + "binary".length,
    'websocket_backplane_connected{instance="one"}': 1,
    'websocket_ready{instance="one"}': 1,
  });
  // Three connections wrote what was laid out once: frames of 6, 8 and 14 bytes.
  expect(series['websocket_bytes_laid_out_total{instance="one"}']).toBe(28);
  expect(series['websocket_bytes_sent_total{instance="one"}']).toBe(3 * 28);
  expect(series['websocket_fanout_seconds_count{instance="one"}']).toBeGreaterThan(0);
});

test("an excepted connection is no recipient, and its bytes are not counted", async () => {
  const { manager, connect, scrape } = await startCounted();
  const alice = await connect("alice");
  const bob = await connect("bob");
  for (const { connection } of [alice, bob]) await connection.join("room");
  await manager.broadcastToRoom("room", "hello", { except: alice.connection });
  await manager.sendToUser("alice", "you");
  await bob.connection.send("me");
  expect(await bob.client.next()).toBe("hello");
  expect(await bob.client.next()).toBe("me");
  expect(await alice.client.next()).toBe("you");
  expect(await scrape()).toMatchObject({
    'websocket_messages_sent_total{instance="one",type="room"}': 1,
    'websocket_messages_sent_total{instance="one",type="user"}': 1,
    'websocket_messages_sent_total{instance="one",type="connection"}': 1,
    'websocket_bytes_sent_total{instance="one"}': 7 + 5 + 4,
  });
});

test("refusals, closes and limits are counted; codes that clients make up are one", async () => {
  const { manager, connect, url, scrape } = await startCounted({
    limits: { messagesPerSecond: 1, messageBurst: 1 },
  });
  await expect(Client.connect(`${url}/?token=wrong`)).rejects.toThrow("401");
  const { client: fast } = await connect("alice");
  const warned = fast.nextJson();
  for (let i = 0; i < 2; i++) fast.socket.send("now");
  expect(await warned).toMatchObject({ code: "rate_limited" });
  const gone = new Promise<void>((resolve) => {
    let left = 2;
    manager.on("disconnect", () => --left === 0 && resolve());
  });
  fast.socket.close(3456);
  const { client: other } = await connect("bob");
  other.socket.close(4999);
  await gone;
  expect(await scrape()).toMatchObject({
    'websocket_handshakes_refused_total{instance="one",status="401"}': 1,
    'websocket_rate_limited_total{instance="one"}': 1,
    'websocket_closed_total{instance="one",code="other"}': 2,
  });
});

test("a message counts as handled also where its handler fails", async () => {
  const { manager, router, url, scrape } = await startCounted();
  manager.on("error", () => {});
  router.public("/fails", {
    message: (_connection, message) => {
      if (message === "now") throw new Error("at once");
      return Promise.reject(new Error("later"));
    },
  });
  const one = await Client.connect(`${url}/fails`);
  for (const text of ["now", "later"]) {
    one.socket.send(text);
    expect(await one.nextJson()).toMatchObject({ code: "internal_error" });
  }
  expect(await scrape()).toMatchObject({
    'websocket_message_processing_seconds_count{instance="one",type="text"}': 2,
    'websocket_errors_total{instance="one",stage="handler"}': 2,
  });
});

test("several managers share a registry, and one that is taken out is not counted any more", async () => {
  const one = await startCounted();
  const two = await startManager({ instanceId: "two" });
  onDispose(two.dispose);
  const end = prometheusMetrics(two.manager, { client, register: one.register });
  await two.connect("alice");
  expect(await one.scrape()).toMatchObject({
    'websocket_connections_active{instance="one"}': 0,
    'websocket_connections_active{instance="two"}': 1,
  });
  end();
  expect(Object.keys(await one.scrape()).filter((name) => name.includes("two"))).toEqual([]);
});

test("the tasks of a queue are counted by their state", async () => {
  const { manager } = await startCounted();
  const register = new Registry();
  const queue = new TaskQueue();
  onDispose(() => queue.close());
  await queue.add({ work: 1 });
  prometheusMetrics(manager, { client, register, queues: [queue] });
  expect(await register.metrics()).toContain(
    'websocket_tasks{instance="one",queue="tasks",state="waiting"} 1',
  );
});

test("a scrape in the form of OpenMetrics has the same values", async () => {
  const { manager } = await startCounted();
  const register = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
  register.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  prometheusMetrics(manager, { client, register });
  const text = await register.metrics();
  expect(text).toContain('websocket_connections_total{instance="one"} 0');
  expect(text.trimEnd().endsWith("# EOF")).toBe(true);
});

test("a registry that is none is a TypeError that says what is wanted", async () => {
  const { manager } = await startCounted();
  // @ts-expect-error what somebody without types might pass
  expect(() => prometheusMetrics(manager, {})).toThrow(
    /client must be a module with the API of prom-client/,
  );
  expect(() => prometheusMetrics(manager, { client, registry: new Registry() } as never)).toThrow(
    /registry/,
  );
});

test("the documentation names every metric, and no other", () => {
  const text = readFileSync(join(repositoryRoot, "docs/metrics.md"), "utf8");
  const named = [...text.matchAll(/^\| `(websocket_\w+)/gm)].map(([, name]) => name).sort();
  const all = ["tasks", "event_loop_delay_seconds", ...READINGS.map(({ name }) => name)];
  expect(named).toEqual(all.map((name) => `websocket_${name}`).sort());
});
