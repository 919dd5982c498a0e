import type { Client } from "./connection.ts";
import type { Shard } from "./shard.ts";

/** Where names are held: on the one Redis there is, or on one of a Cluster's. */
export interface Servers {
  /** Whether messages flow on every channel. */
  readonly complete: boolean;
  /** The server that holds a key or channel; null while nobody is known to. */
  of(name: string): Shard | null;
  /** Resolves when every server was tried once. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Whom servers tell what happens to them. Only `joining` may reject, and none may throw. */
export interface ServersEvents {
  /** The channels of a server that somebody here wants. */
  wanted(shard: Shard): Iterable<string>;
  receive(message: Buffer, channel: Buffer): void;
  /** See `ShardEvents`. */
  leaving(channel: string): void;
  /** See `ShardEvents`. */
  joining(shard: Shard, client: Client): Promise<void>;
  /** See `ShardEvents`. */
  living(shard: Shard): Promise<number>;
  /** `complete` may have changed. */
  changed(): void;
  /** Messages flow no more on the channels of a server. */
  lost(shard: Shard): void;
  /** Something about Redis that people should know. */
  trouble(reason: unknown): void;
}
