import { randomBytes } from "node:crypto";
import { checkOptions } from "../../protocol/check-options.ts";
import { ConfigurationError } from "../../protocol/errors.ts";
import { isName } from "../../protocol/names.ts";
import { checkPeer } from "../../protocol/peer.ts";
import type { Attachment, Backplane, Instance } from "../contract/backplane.ts";
import type { Receiver } from "../core/echo-broker.ts";
import { RedisLink } from "./channels.ts";
import { CLUSTER_BUCKETS, checkPrefix, Keys } from "./keys.ts";
import { clientFactory, type RedisLocation } from "./net/client-factory.ts";
import type { Client } from "./net/connection.ts";
import { checkBuckets, checkServer, explain, type ServerCheck } from "./net/start-checks.ts";
import { RedisPresence } from "./presence/presence.ts";
import { RedisHistory } from "./redis-history.ts";
import { RedisReceipts } from "./redis-receipts.ts";
import { RedisTasks } from "./tasks/redis-tasks.ts";

export interface RedisBackplaneOptions extends RedisLocation {
  /** What every key and channel begins with; separates clusters on one Redis. Default `ws:`. */
  readonly prefix?: string;
  /**
   * How long after its last heartbeat an instance counts as gone, in milliseconds; the same for all.
   * Default 15,000.
   */
  readonly leaseMs?: number;
}

/** Beyond these a lease is either shorter than a hiccup or no use. */
const LEASE_MS = { min: 1000, max: 3_600_000 };

/**
 * A backplane on Redis 7 or newer, alone, watched over by Sentinels, or a Redis Cluster: all instances on the
 * same Redis with the same prefix are a cluster. While Redis is away instances go on by themselves, and join
 * again when it is back. A start rejects with a `ConfigurationError` if this Redis will never do.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 */
export function redisBackplane(options: RedisBackplaneOptions = {}): Backplane {
  checkPeer("@redis/client", "redisBackplane");
  const { prefix = "ws:", leaseMs = 15_000 } = options;
  checkOptions("redisBackplane", options, REDIS_OPTIONS);
  checkLocation(options, prefix, leaseMs);
  checkPrefix(prefix);
  return {
    attach: (instance: Instance): Attachment =>
      new RedisAttachment(instance, options, prefix, leaseMs),
    tasks: (terms, observer) => {
      const clients = clientFactory(options, terms.consumer);
      return new RedisTasks(clients, prefix, keysFor(options, prefix), terms, observer);
    },
  };
}

function keysFor({ cluster }: RedisLocation, prefix: string): Keys {
  return new Keys(prefix, cluster && CLUSTER_BUCKETS);
}

/** One instance's part in a cluster on Redis. */
class RedisAttachment implements Attachment {
  readonly kind: string = "redis";
  readonly broker: RedisLink["broker"];
  readonly presence: RedisPresence;
  readonly history: RedisHistory;
  readonly receipts: RedisReceipts;
  readonly #instance: Instance;
  readonly #prefix: string;
  readonly #keys: Keys;
  readonly #link: RedisLink;
  /** What has been said since Redis was last there: an outage is told once, not at each attempt. */
  readonly #said: Set<string> = new Set();
  /** Why this Redis will not do, however long one waits. */
  #refusal: ConfigurationError | null = null;
  #stopping = false;

  constructor(instance: Instance, location: RedisLocation, prefix: string, leaseMs: number) {
    this.#instance = instance;
    this.#prefix = prefix;
    const keys = keysFor(location, prefix);
    this.#keys = keys;
    const sender = randomBytes(9).toString("base64url");
    const clients = clientFactory(location, instance.id);
    this.#link = new RedisLink(clients, keys, this.#attentive(instance), sender, {
      joining: (client, buckets) => this.#join(client, buckets),
      living: (bucket) => this.presence.living(bucket),
      told: (message) => this.presence.told(message),
      trouble: (error) => this.#report(error),
    });
    const { broker, scripts } = this.#link;
    this.broker = broker;
    this.presence = new RedisPresence(
      {
        scripts,
        listen: (channel, listener) => this.#link.listen(channel, listener),
        publish: (channel, packet) => broker.publish(channel, packet),
        tellAll: (bucket, text) => this.#link.tellAll(bucket, text),
      },
      keys,
      instance,
      leaseMs,
    );
    this.history = new RedisHistory(keys, broker, scripts);
    this.receipts = new RedisReceipts(keys, scripts);
  }

  async start(): Promise<void> {
    this.presence.start();
    await this.#link.start();
    if (this.#refusal === null) return;
    await this.stop();
    throw this.#refusal;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.presence.stop();
    this.receipts.stop();
    await this.#link.stop();
  }

  /** What a server must say and do before messages flow through it. */
  async #join(client: Client, buckets: readonly number[]): Promise<void> {
    const { warnings, run } = await this.#check(client, buckets);
    await this.presence.join(buckets, run);
    this.#said.clear();
    for (const warning of warnings) this.#report(warning);
  }

  async #check(client: Client, buckets: readonly number[]): Promise<ServerCheck> {
    try {
      const check = await checkServer(client, this.#keys.sharded);
      if (this.#keys.sharded && buckets.includes(0)) await checkBuckets(client, this.#keys);
      return check;
    } catch (error) {
      if (error instanceof ConfigurationError) this.#refusal = error;
      throw error;
    }
  }

  /** Takes note of what the instance is told of rooms that users are in as users. */
  #attentive(instance: Instance): Receiver {
    return {
      id: instance.id,
      statusChanged: (status) => {
        if (status === "connected") this.presence.roomsAsUser.connected();
        instance.statusChanged(status);
      },
      report: (error, stage) => instance.report(error, stage),
      receive: (channel, packet) => {
        const membership = packet.type === "join" || packet.type === "leave";
        if (!membership || !packet.version || !channel.startsWith("user:")) {
          return instance.receive(channel, packet);
        }
        const user = channel.slice("user:".length);
        const { type, room } = packet;
        const change = { user, room, joined: type === "join", version: packet.version };
        const version = this.presence.roomsAsUser.note(change);
        const known = version === null ? ({ outdated: true } as const) : { version };
        return instance.receive(channel, { ...packet, ...known });
      },
    };
  }

  #report(error: unknown): void {
    if (this.#stopping) return;
    const explained = explain(error, this.#prefix, this.#keys.sharded);
    const message = String(explained);
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#instance.report(explained, "backplane");
  }
}

const REDIS_OPTIONS = ["url", "client", "sentinel", "cluster", "prefix", "leaseMs"];

function checkLocation(location: RedisLocation, prefix: string, leaseMs: number): void {
  const { url, client, sentinel, cluster } = location;
  if (url !== undefined && client !== undefined) {
    throw new TypeError("Give url or client, not both.");
  }
  if (url !== undefined && !isRedisUrl(url)) {
    // Not shown: it may hold a password.
    throw new TypeError("url must be a URL that begins with redis:// or rediss://.");
  }
  if (cluster !== undefined) {
    if (url !== undefined || sentinel !== undefined) {
      throw new TypeError("Give cluster alone or with client, not with url or sentinel.");
    }
    if (!Array.isArray(cluster) || cluster.length === 0 || !cluster.every(isRedisUrl)) {
      const what = "the URLs of some nodes";
      throw new TypeError(`cluster must list ${what}, which begin with redis:// or rediss://.`);
    }
  }
  if (!isName(prefix)) {
    const allowed = "1 to 256 bytes of text without control characters, { or }";
    throw new TypeError(`prefix must be ${allowed}, not ${JSON.stringify(prefix)}.`);
  }
  if (!(leaseMs >= LEASE_MS.min && leaseMs <= LEASE_MS.max)) {
    const allowed = `milliseconds from ${LEASE_MS.min} to ${LEASE_MS.max}`;
    throw new RangeError(`leaseMs must be ${allowed}, not ${leaseMs}.`);
  }
}

function isRedisUrl(url: unknown): boolean {
  return typeof url === "string" && /^rediss?:\/\//.test(url) && URL.canParse(url);
}
