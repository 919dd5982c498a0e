import { setTimeout as wait } from "node:timers/promises";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { BackplaneUnavailableError } from "../../src/protocol/errors.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { startBalancer } from "./balancer.ts";
import { startRedisServer } from "./redis-server.ts";
import { ReturningClient } from "./returning-client.ts";
import { type ServeProcess, startServe } from "./serve.ts";

/** The room everybody is in, and its policy. */
export const ROOM = "load";
export const ROOMS = { [ROOM]: { history: {} } };

const CLIENTS = 1000;
const MESSAGES_PER_SECOND = 100;
const BURST = 5;

/** Every third speaks `roomcast.v1`. */
function isEnveloped(i: number): boolean {
  return i % 3 === 0;
}

/** A process without connections that publishes numbers until it is stopped. */
export class Publisher {
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

/** What a rolling restart did to its clients. */
export interface RollingRestart {
  /** Those that speak `roomcast.v1`; they have got the last message. */
  readonly enveloped: readonly ReturningClient[];
  /** What was published, in order. */
  readonly texts: readonly string[];
  /** Every time a client was back. */
  readonly returns: ReturningClient["returns"];
}

/**
 * Restarts three servers one after another behind a balancer, each when everybody is back from the one
 * before, with a thousand clients in a room to which a hundred durable messages a second are published.
 */
export async function rollServers(
  onDispose: (dispose: () => unknown) => void,
): Promise<RollingRestart> {
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
  const backplane = redisBackplane({ url: redis.url });
  const manager = new ConnectionManager({ backplane, rooms: ROOMS });
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
  const enveloped = clients.filter((_, i) => isEnveloped(i));
  for (const client of enveloped) await client.until(() => client.ids.at(-1) === last);
  const returns = clients.flatMap((client) => client.returns);
  return { enveloped, texts: publisher.texts, returns };
}
