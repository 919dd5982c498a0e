import { EchoBroker, type Receiver } from "../core/echo-broker.ts";
import type { Transport } from "../core/transport.ts";
import { Interest } from "./interest.ts";
import type { Keys } from "./keys.ts";
import type { ClientFactory } from "./net/client-factory.ts";
import { ClusterServers } from "./net/cluster-servers.ts";
import type { Client } from "./net/connection.ts";
import { inTime, Scripts } from "./net/run.ts";
import type { Servers } from "./net/servers.ts";
import type { Shard } from "./net/shard.ts";
import { SingleServer } from "./net/single-server.ts";

const NOBODY_KNOWS: Promise<boolean> = Promise.resolve(false);

/** What a link asks of its owner. */
export interface LinkEvents {
  /**
   * A server is there again; messages flow through it when this resolves. A rejection makes the connection
   * anew.
   */
  joining(client: Client, buckets: readonly number[]): Promise<void>;
  /** How many instances there are, as the server that holds a bucket knows. */
  living(bucket: number): Promise<number>;
  /** An instance has told all others something (`tellAll`). Answers whether it was understood. MUST NOT throw. */
  told(message: Buffer): boolean;
  /** Something about Redis that people should know. */
  trouble(error: unknown): void;
}

/**
 * An instance's connections to Redis: what is published, subscribed to or asked for goes to the server that
 * holds the name.
 */
export class RedisLink implements Transport {
  readonly broker: EchoBroker;
  readonly scripts: Scripts;
  readonly #keys: Keys;
  readonly #servers: Servers;
  readonly #interest: Interest;
  /** Who takes what comes on channels that are not the broker's. */
  readonly #listeners: Map<string, Set<(message: Buffer) => boolean>> = new Map();

  constructor(
    clients: ClientFactory,
    keys: Keys,
    instance: Receiver,
    incarnation: string,
    events: LinkEvents,
  ) {
    this.#keys = keys;
    const told = new Set([(message: Buffer) => events.told(message)]);
    for (const bucket of keys.buckets.keys()) this.#listeners.set(keys.rollCallIn(bucket), told);
    this.#interest = new Interest((channel) => {
      this.#servers.of(channel)?.subscriptions.remove(channel);
    });
    this.broker = new EchoBroker(instance, keys, incarnation, this);
    const shardEvents = {
      wanted: (shard: Shard) => this.#wantedOf(shard),
      receive: (message: Buffer, channel: Buffer) => this.#receive(message, channel.toString()),
      joining: ({ buckets }: Shard, client: Client) => events.joining(client, buckets),
      living: ({ buckets }: Shard) => events.living(buckets[0] ?? 0),
      changed: () => this.broker.transportChanged(),
      leaving: (channel: string) => this.broker.leaving(channel),
      lost: ({ buckets }: Shard) => this.broker.lost(buckets),
      trouble: (reason: unknown) => events.trouble(reason),
    };
    const canary = `instance:${instance.id}` as const;
    this.#servers =
      clients.seeds === null
        ? new SingleServer(clients, keys, canary, shardEvents)
        : new ClusterServers(clients, keys, canary, shardEvents);
    this.scripts = new Scripts(
      (key) => this.#servers.of(key)?.client ?? null,
      // Whoever is to be asked is found by a new connection.
      (key, answer) => this.#servers.of(key)?.rebuild(answer),
      async (key, count) => this.#servers.of(key)?.replication.wait(count),
    );
  }

  /** Resolves when every server was tried once, whether or not it is there. */
  start(): Promise<void> {
    return this.#servers.start();
  }

  async stop(): Promise<void> {
    await this.#servers.stop();
    this.#interest.stop();
  }

  /**
   * Takes what is published on a channel that is none of the broker's, until it is ended. Resolves as
   * `subscribe` does. The listener answers whether it understood, and MUST NOT throw.
   */
  async listen(channel: string, listener: (message: Buffer) => boolean): Promise<() => void> {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    await this.subscribe(channel);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      this.#listeners.delete(channel);
      this.unsubscribe(channel);
    };
  }

  /** Tells every instance something of a bucket, this one too. Rejects if Redis does not take it. */
  async tellAll(bucket: number, text: string): Promise<void> {
    const shard = this.#servers.of(this.#keys.rollCallIn(bucket));
    if (shard === null) throw new Error("Nobody knows which server holds the bucket.");
    await inTime(shard.tellAll(Buffer.from(text)));
  }

  // For the broker

  readonly service: string = "Redis";

  get complete(): boolean {
    return this.#servers.complete;
  }

  flows(channel: string): boolean {
    return this.#servers.of(channel)?.flowing ?? false;
  }

  subscribe(channel: string): Promise<void> {
    this.#interest.add(channel);
    return this.#servers.of(channel)?.subscriptions.add(channel) ?? Promise.resolve();
  }

  unsubscribe(channel: string): void {
    this.#interest.release(channel);
  }

  isSubscribed(channel: string): boolean {
    return this.#servers.of(channel)?.subscriptions.isConfirmed(channel) ?? false;
  }

  async publish(channel: string, message: Buffer): Promise<void> {
    await this.#servers.of(channel)?.publish(channel, message);
  }

  async subscribers(channel: string): Promise<number> {
    const shard = this.#servers.of(channel);
    if (shard === null) throw new Error("Nobody knows which server holds the channel.");
    return inTime(shard.subscribers(channel));
  }

  everybodyHears(channel: string): Promise<boolean> {
    return this.#servers.of(channel)?.rollCall.ask() ?? NOBODY_KNOWS;
  }

  failed(channel: string, reason: Error): void {
    this.#servers.of(channel)?.rebuild(reason);
  }

  #receive(message: Buffer, channel: string): void {
    const listeners = this.#listeners.get(channel);
    if (listeners === undefined) this.broker.receive(message, channel);
    else {
      const understood = [...listeners].map((listener) => listener(message));
      if (understood.includes(false)) this.broker.passOver(channel);
    }
  }

  *#wantedOf({ buckets }: Shard): Generator<string> {
    const own = new Set(buckets);
    for (const channel of this.#interest) if (own.has(this.#keys.bucketOf(channel))) yield channel;
  }
}
