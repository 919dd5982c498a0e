import { setTimeout as wait } from "node:timers/promises";
import type { RedisClientType } from "@redis/client";

/** A client of `@redis/client` as we use it: the default protocol, no modules. */
export type Client = RedisClientType;

/** How often a connection is asked whether it is there, and how long it may take to answer. */
const PING_EVERY_MS = 1000;
const PING_DEADLINE_MS = 1500;
/** How long connecting and greeting may take, in milliseconds. */
const CONNECT_DEADLINE_MS = 3000;
const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 2000;

/** When each client last brought anything: an answer behind much else is no sign of a hang. */
const heardAt: WeakMap<Client, number> = new WeakMap();

/** Redis has answered on this client. */
export function heard(client: Client): void {
  heardAt.set(client, performance.now());
}

export interface ConnectionEvents {
  /** A new client is connected. The connection counts as up when this resolves. */
  up(client: Client): Promise<void>;
  /** The client is gone; another one is on its way. */
  down(reason: unknown): void;
}

/**
 * One connection to Redis that is always being made, up, or being made again. The client's own
 * reconnecting is off: a fresh client has no state that could be wrong, and a hung Redis is found
 * by our own pings, which the client's timeouts do not (they stop counting once a command is written).
 */
export class Connection {
  readonly #makeClient: () => Promise<Client>;
  readonly #events: ConnectionEvents;
  readonly #stopping: AbortController = new AbortController();
  #client: Client | null = null;
  #lost: (reason: unknown) => void = () => {};
  #running: Promise<void> | null = null;
  #attempts = 0;

  constructor(makeClient: () => Promise<Client>, events: ConnectionEvents) {
    this.#makeClient = makeClient;
    this.#events = events;
  }

  /** The client while the connection is up. */
  get client(): Client | null {
    return this.#client;
  }

  /** Resolves when the first attempt has succeeded or failed; goes on trying in either case. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#running ??= this.#run(resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#lost(new Error("stopped"));
    await this.#running;
  }

  /** Gives up the client, because it does not do what it should; another one follows. */
  rebuild(reason: unknown): void {
    this.#lost(reason);
  }

  async #run(tried: () => void): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#live(tried);
      tried();
      if (signal.aborted) break;
      const delay = Math.min(FIRST_DELAY_MS * 2 ** this.#attempts, LONGEST_DELAY_MS);
      this.#attempts++;
      await wait(delay * (0.5 + Math.random() / 2), undefined, { signal, ref: false }).catch(
        () => {},
      );
    }
  }

  /** The life of one client, from its making to its loss. Never rejects. */
  async #live(tried: () => void): Promise<void> {
    let client: Client | null = null;
    const lost = new Promise<unknown>((resolve) => {
      this.#lost = resolve;
    });
    let watchdog: NodeJS.Timeout | undefined;
    try {
      client = await this.#makeClient();
      client.on("error", (error) => this.#lost(error));
      client.on("end", () => this.#lost(new Error("The connection to Redis ended.")));
      const failed = lost.then((reason) => Promise.reject(reason));
      const late = setTimeout(() => {
        this.#lost(new Error(`Redis did not answer within ${CONNECT_DEADLINE_MS} ms.`));
      }, CONNECT_DEADLINE_MS);
      await Promise.race([client.connect(), failed]).finally(() => clearTimeout(late));
      watchdog = this.#watch(client);
      this.#client = client;
      await Promise.race([this.#events.up(client), failed]);
      this.#attempts = 0;
      tried();
      await failed;
    } catch (error) {
      this.#client = null;
      this.#events.down(error);
    }
    clearInterval(watchdog);
    if (client?.isOpen) client.destroy();
  }

  /** Finds a connection on which nothing answers. */
  #watch(client: Client): NodeJS.Timeout {
    let askedAt: number | null = null;
    let answeredAt = performance.now();
    const look = (): void => {
      const now = performance.now();
      if (askedAt !== null) {
        const since = Math.max(askedAt, heardAt.get(client) ?? askedAt);
        if (now - since < PING_DEADLINE_MS) return;
        this.#lost(new Error(`Redis did not answer a PING within ${PING_DEADLINE_MS} ms.`));
      } else if (now - answeredAt >= PING_EVERY_MS) {
        askedAt = now;
        client.ping().then(
          () => {
            askedAt = null;
            answeredAt = performance.now();
          },
          (error) => this.#lost(error),
        );
      }
    };
    return setInterval(look, PING_EVERY_MS / 10).unref();
  }
}
