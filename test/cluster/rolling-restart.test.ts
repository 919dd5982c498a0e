import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { BackplaneUnavailableError } from "../../src/protocol/errors.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { startBalancer } from "../support/balancer.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { ReturningClient } from "../support/returning-client.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";

const onDispose = useDisposals();

const ROOM = "load";
const CLIENTS = 1000;
const MESSAGES_PER_SECOND = 100;
const BURST = 5;
const PATIENTLY = { timeout: 100_000 };
const rooms = { [ROOM]: { history: {} } };

/** Every third speaks `roomcast.v1`. */
function isEnveloped(i: number): boolean {
  return i % 3 === 0;
}

/** A process without connections that publishes numbers until it is stopped. */
class Publisher {
  readonly #manager: ConnectionManager;
  #running = true;
  /** The positions of what was acknowledged. */
  readonly acknowledged: string[] = [];
  readonly texts: string[] = [];
  unknown = 0;
  readonly done: Promise<void>;

  constructor(manager: ConnectionManager) {
    this.#manager = manager;
    this.done = this.#run();
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.done;
  }

  async #run(): Promise<void> {
    const began = performance.now();
    const sends: Promise<void>[] = [];
    // In bursts, as a busy application does.
    for (let n = 0; this.#running; ) {
      for (let i = 0; i < BURST; i++) sends.push(this.#send(String(n++)));
      await wait(Math.max(0, began + (n * 1000) / MESSAGES_PER_SECOND - performance.now()));
    }
    await Promise.all(sends);
  }

  async #send(text: string): Promise<void> {
    try {
      const { id } = await this.#manager.broadcastToRoom(ROOM, text, { persist: true });
      if (id === undefined) throw new Error("It was not stored.");
      this.acknowledged.push(id);
      this.texts.push(text);
    } catch (error) {
      if (!(error instanceof BackplaneUnavailableError)) throw error;
      if (error.outcome === "unknown") this.unknown++;
    }
  }
}

test("a rolling restart under load: every client is back soon, not all at once, and has missed nothing", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const balancer = await startBalancer();
  onDispose(balancer.dispose);
  const start = async (): Promise<ServeProcess> => {
    const one = await startServe({ env: { REDIS_URL: redis.url } });
    onDispose(one.dispose);
    balancer.backends.add(one.port);
    return one;
  };
  const instances = await Promise.all([start(), start(), start()]);
  const manager = new ConnectionManager({ backplane: redisBackplane({ url: redis.url }), rooms });
  await manager.start();
  onDispose(() => manager.stop());

  const url = `ws://127.0.0.1:${balancer.port}/ws`;
  const clients: ReturningClient[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    clients.push(new ReturningClient(`${url}?user=u${i}`, ROOM, isEnveloped(i)));
  }
  onDispose(() => {
    for (const client of clients) client.stop();
  });
  for (const client of clients) await client.until(() => client.isIn);

  const publisher = new Publisher(manager);
  for (const old of instances) {
    balancer.backends.delete(old.port);
    await start();
    await old.stop();
    for (const client of clients) await client.until(() => client.isIn);
  }
  await publisher.stop();
  const last = publisher.acknowledged.at(-1);
  for (const client of clients.filter((_, i) => isEnveloped(i))) {
    await client.until(() => client.ids.at(-1) === last);
    expect(client.faults).toEqual([]);
    expect(client.texts).toEqual(publisher.texts);
  }

  const returns = clients.flatMap((client) => client.returns);
  expect(returns.length).toBeGreaterThanOrEqual(CLIENTS);
  expect(Math.max(...returns.map(({ awayMs }) => awayMs))).toBeLessThan(15_000);
  const times = returns.map(({ at }) => at).sort((a, b) => a - b);
  const spanMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
  const mean = (times.length * 5000) / spanMs;
  const busiest = Math.max(
    ...times.map((from, i) => times.slice(i).filter((at) => at < from + 5000).length),
  );
  expect(busiest).toBeLessThanOrEqual(mean * 2);
});

test("Redis killed and restarted with its AOF: no acknowledged message is lost, none comes twice", async () => {
  const config = ["appendonly yes", "appendfsync always"];
  const redis = await startRedisServer({ config });
  onDispose(redis.dispose);
  const start = async (): Promise<ManagerServer> => {
    const one = await startManager({ backplane: redisBackplane({ url: redis.url }), rooms });
    onDispose(one.dispose);
    one.router.optional("/ws", { authorize: () => true }, { message: () => {} });
    return one;
  };
  const [one, other] = [await start(), await start()];
  const clients = Array.from(
    { length: 20 },
    (_, i) => new ReturningClient(`${(i % 2 === 0 ? one : other).url}/ws`, ROOM, true),
  );
  onDispose(() => {
    for (const client of clients) client.stop();
  });
  for (const client of clients) await client.until(() => client.isIn);

  const publisher = new Publisher(one.manager);
  const moreThan = async (count: number): Promise<void> => {
    await expect.poll(() => publisher.acknowledged.length, PATIENTLY).toBeGreaterThan(count);
  };
  let running = redis;
  for (let i = 0; i < 2; i++) {
    await moreThan(publisher.acknowledged.length + 100);
    await running.kill();
    await expect.poll(() => one.manager.status, PATIENTLY).toBe("degraded");
    running = await startRedisServer({ config, port: redis.port, folder: redis.folder });
    onDispose(running.dispose);
    await moreThan(publisher.acknowledged.length + 100);
  }
  await publisher.stop();
  const last = publisher.acknowledged.at(-1) ?? "";
  for (const client of clients) {
    await client.until(() => client.ids.includes(last));
    expect(client.faults).toEqual([]);
    expect(new Set(client.ids).size).toBe(client.ids.length);
    const got = new Set(client.ids);
    expect(publisher.acknowledged.filter((id) => !got.has(id))).toEqual([]);
    // Nobody lost the connection because of Redis.
    expect(client.returns).toEqual([]);
  }
});
