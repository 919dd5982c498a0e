import { ByBucket } from "./by-bucket.ts";
import type { Client } from "./connection.ts";

/** Channels in one command. */
const BATCH = 512;

type Receive = (message: Buffer, channel: Buffer) => void;

export interface SubscriptionOptions {
  /** Whether channels are those of a shard of a Cluster; then one command names those of one bucket. */
  readonly sharded: boolean;
  bucketOf(channel: string): number;
  receive: Receive;
  /** The channel is about to be unsubscribed from. */
  leaving(channel: string): void;
  /** A command did not do what it should, so the connection must be rebuilt. */
  failed(error: unknown): void;
}

/**
 * What a subscriber connection is subscribed to, and what it should be. One command is in flight at a time;
 * a new connection is given everything anew, in batches.
 */
export class Subscriptions {
  readonly #options: SubscriptionOptions;
  /** Channels Redis has confirmed on the present connection. */
  readonly #confirmed: Set<string> = new Set();
  /** Channels that are wanted and not confirmed, and the other way round. */
  readonly #missing: ByBucket;
  readonly #surplus: ByBucket;
  readonly #waiting: Map<string, (() => void)[]> = new Map();
  #client: Client | null = null;
  #complete = false;
  #working: Promise<void> | null = null;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#missing = new ByBucket(options.bucketOf);
    this.#surplus = new ByBucket(options.bucketOf);
  }

  /** Whether everything that was wanted when the connection was made has been confirmed. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Whether everything published to the channel from now on arrives. */
  isConfirmed(channel: string): boolean {
    return this.#confirmed.has(channel);
  }

  /** Resolves when the channel is subscribed; at once while there is no connection. */
  add(channel: string): Promise<void> {
    this.#surplus.delete(channel);
    if (this.#client === null || this.#confirmed.has(channel)) return Promise.resolve();
    this.#missing.add(channel);
    const subscribed = new Promise<void>((resolve) => {
      const waiting = this.#waiting.get(channel);
      if (waiting === undefined) this.#waiting.set(channel, [resolve]);
      else waiting.push(resolve);
    });
    this.#work();
    return subscribed;
  }

  /** The channel is not needed any more. */
  remove(channel: string): void {
    this.#missing.delete(channel);
    if (this.#confirmed.has(channel)) this.#surplus.add(channel);
    this.#work();
  }

  /** Subscribes to these on a new connection, and then to a `last` one. Resolves when Redis has confirmed them all. */
  async connected(client: Client, channels: Iterable<string>, last: string): Promise<void> {
    this.disconnected();
    this.#client = client;
    for (const channel of channels) this.#missing.add(channel);
    this.#work();
    while (this.#working !== null) await this.#working;
    if (this.#client === client) await this.add(last);
    this.#complete = this.#client === client;
  }

  /** The connection is gone. Nobody is kept waiting for it. */
  disconnected(): void {
    this.#client = null;
    this.#complete = false;
    this.#working = null;
    this.#confirmed.clear();
    this.#missing.clear();
    this.#surplus.clear();
    for (const channel of [...this.#waiting.keys()]) this.#tell(channel);
  }

  #work(): void {
    const client = this.#client;
    const idle = this.#missing.isEmpty && this.#surplus.isEmpty;
    if (client === null || this.#working !== null || idle) return;
    const working = this.#synchronize(client).then(
      () => {
        if (this.#working !== working) return;
        this.#working = null;
        this.#work();
      },
      (error) => {
        if (this.#client === client) this.#options.failed(error);
      },
    );
    this.#working = working;
  }

  /** One batch of what differs from what is wanted. */
  async #synchronize(client: Client): Promise<void> {
    const { sharded, receive } = this.#options;
    const missing = this.#missing.take(BATCH);
    if (missing.length > 0) {
      await (sharded
        ? client.sSubscribe(missing, receive, true)
        : client.subscribe(missing, receive, true));
      if (this.#client !== client) return;
      for (const channel of missing) {
        this.#confirmed.add(channel);
        this.#tell(channel);
      }
      return;
    }
    const surplus = this.#surplus.take(BATCH);
    for (const channel of surplus) {
      this.#confirmed.delete(channel);
      this.#options.leaving(channel);
    }
    await (sharded
      ? client.sUnsubscribe(surplus, receive, true)
      : client.unsubscribe(surplus, receive, true));
  }

  #tell(channel: string): void {
    for (const resolve of this.#waiting.get(channel) ?? []) resolve();
    this.#waiting.delete(channel);
  }
}
