import { ConfigurationError } from "../../protocol/errors.ts";
import { quote } from "../../protocol/names.ts";
import type { Channel } from "../contract/broker.ts";
import type { LogName } from "../contract/history-store.ts";
import { keySlot } from "./key-slot.ts";
import { BucketKeys } from "./presence/bucket-keys.ts";

/** How many buckets there are in a Cluster. Never changes: what is stored lies in them. */
export const CLUSTER_BUCKETS = 256;

/**
 * What names of keys and channels begin with, behind the prefix. A prefix with one of these in it, such as `ws:room:`,
 * would lie within the names of another cluster, `ws:`, whose rooms could then be named like anything of this one.
 */
const KINDS: ReadonlySet<string> = new Set([
  ...["broadcast", "room", "user", "instance", "connection", "receipt", "changes"],
  ...["log", "log-end", "log-bytes", "idempotency", "tasks", "tasks-once", "tasks-errors"],
  ...[
    "tasks-dead",
    "tasks-dead-index",
    "tasks-sweeper",
    "workers",
    "instances",
    "cluster",
    "owners",
    "buckets",
  ],
  ...["rooms", "holders", "present", "places", "claims", "reservations", "reserving"],
  ...["members", "as-user", "told", "everybody"],
]);

/** @throws ConfigurationError for a prefix that lies within the names of another. */
export function checkPrefix(prefix: string): string {
  const kind = prefix.split(":").find((part) => KINDS.has(part));
  if (kind === undefined) return prefix;
  throw new ConfigurationError(
    `The prefix is ${quote(prefix)}, but no part of it may be ${quote(kind)}: names of others begin so.`,
  );
}

/** Whatever has keys and channels of its own. */
type Entity = Channel | `connection:${string}` | `receipt:${string}` | `tasks:${string}`;

/**
 * Every name of a key or channel is made here, or in the `BucketKeys` of a bucket.
 *
 * A Redis alone, or one that Sentinels watch over, has one bucket, and names without a tag, so that
 * `redis-cli PUBLISH ws:room:lobby …` just works. In a Cluster names begin with the tag of a bucket,
 * `ws:{17}:room:lobby`: whatever belongs to one room, user or connection lies in one slot, where scripts
 * stay atomic.
 */
export class Keys {
  /** Whether channels are those of one shard of a Cluster. */
  readonly sharded: boolean;
  /** All of them; which one an entity falls into says `bucketFor`. */
  readonly buckets: readonly BucketKeys[];
  readonly #prefixes: readonly string[];

  /** `buckets`: how many there are in a Cluster; absent without one. */
  constructor(prefix: string, buckets?: number) {
    this.sharded = buckets !== undefined;
    this.#prefixes =
      buckets === undefined
        ? [prefix]
        : Array.from({ length: buckets }, (_, bucket) => `${prefix}{${bucket}}:`);
    this.buckets = this.#prefixes.map((own) => new BucketKeys(own, this.publishCommand));
  }

  /** What publishes to a channel. */
  get publishCommand(): "PUBLISH" | "SPUBLISH" {
    return this.sharded ? "SPUBLISH" : "PUBLISH";
  }

  /** The number of the bucket of a room, user, instance or connection. */
  bucketFor(entity: Entity): number {
    return this.sharded ? keySlot(entity) % this.buckets.length : 0;
  }

  /** The number of the bucket a name lies in; the name is one of those made here. */
  bucketOf(name: string): number {
    return this.sharded ? Number(name.slice(name.indexOf("{") + 1, name.indexOf("}"))) : 0;
  }

  channel(channel: Channel): string {
    return this.channelIn(this.bucketFor(channel), channel);
  }

  /** A channel in a bucket that need not be its own. */
  channelIn(bucket: number, channel: Channel): string {
    return `${this.#prefixes[bucket]}${channel}`;
  }

  /** The channel a name stands for; the name is one of `channel`. */
  channelOf(name: string): Channel {
    return name.slice(this.#prefixes[this.bucketOf(name)]?.length) as Channel;
  }

  /** A log, which has the name of its channel: a stream. */
  log(log: LogName): string {
    return `${this.prefixOf(log)}log:${log}`;
  }

  /** The position of the newest entry of that log. It outlives the log. */
  logEnd(log: LogName): string {
    return `${this.prefixOf(log)}log-end:${log}`;
  }

  /** What that log takes of memory, in bytes. */
  logBytes(log: LogName): string {
    return `${this.prefixOf(log)}log-bytes:${log}`;
  }

  /** The position of the message of a log that had an idempotency key first. */
  idempotency(log: LogName, key: string): string {
    // Both may have spaces: the length tells where one ends.
    return `${this.prefixOf(log)}idempotency:${log.length} ${log} ${key}`;
  }

  /** What is known of one message of a client; the name is a digest. */
  receipt(digest: string): string {
    return `${this.prefixOf(`receipt:${digest}`)}receipt:${digest}`;
  }

  /** A key that is written for its place in the stream to the replicas. */
  markIn(bucket: number): string {
    return `${this.#prefixes[bucket]}replicated`;
  }

  /** A channel that every instance is subscribed to while it hears everything of a server. */
  rollCallIn(bucket: number): string {
    return `${this.#prefixes[bucket]}everybody`;
  }

  /** How many buckets there are, as whoever came first has stored it. */
  get bucketCount(): string {
    return `${this.#prefixes[0]}buckets`;
  }

  /** What the keys of an entity begin with. */
  prefixOf(entity: Entity): string {
    return this.#prefixes[this.bucketFor(entity)] ?? "";
  }
}
