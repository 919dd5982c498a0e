import { randomBytes } from "node:crypto";
import { isName } from "../../protocol/names.ts";
import type { Attachment, Backplane, Instance } from "../backplane.ts";
import { clientFactory, type RedisLocation } from "./client-factory.ts";
import { Keys } from "./keys.ts";
import { RedisLink } from "./link.ts";
import { RedisHistory } from "./redis-history.ts";
import { RedisPresence } from "./redis-presence.ts";
import { RedisReceipts } from "./redis-receipts.ts";
import { RedisTasks } from "./redis-tasks.ts";
import { checkServer, explain } from "./start-checks.ts";

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
 * A backplane on Redis 7 or newer: all instances on the same Redis with the same prefix are a cluster.
 * While Redis is away instances go on by themselves, and join again when it is back.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 */
export function redisBackplane(options: RedisBackplaneOptions = {}): Backplane {
  const { prefix = "ws:", leaseMs = 15_000 } = options;
  checkOptions(options, prefix, leaseMs);
  return {
    attach: (instance: Instance): Attachment =>
      new RedisAttachment(instance, options, prefix, leaseMs),
    tasks: (terms, observer) =>
      new RedisTasks(clientFactory(options, terms.consumer), prefix, terms, observer),
  };
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
  readonly #link: RedisLink;
  /** What has been said since Redis was last there: an outage is told once, not at each attempt. */
  readonly #said: Set<string> = new Set();
  #stopping = false;

  constructor(instance: Instance, location: RedisLocation, prefix: string, leaseMs: number) {
    this.#instance = instance;
    this.#prefix = prefix;
    const keys = new Keys(prefix);
    const sender = randomBytes(9).toString("base64url");
    this.#link = new RedisLink(clientFactory(location, instance.id), keys, instance, sender, {
      joining: () => this.#join(),
      trouble: (error) => this.#report(error),
    });
    const { broker, scripts } = this.#link;
    this.broker = broker;
    this.presence = new RedisPresence(scripts, keys, instance, leaseMs);
    this.history = new RedisHistory(keys, broker, scripts);
    this.receipts = new RedisReceipts(keys, scripts);
  }

  async start(): Promise<void> {
    this.presence.start();
    await this.#link.start();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.presence.stop();
    await this.#link.stop();
  }

  async #join(): Promise<void> {
    const warnings = await checkServer(this.#link.scripts);
    await this.presence.join();
    this.#said.clear();
    for (const warning of warnings) this.#report(warning);
  }

  #report(error: unknown): void {
    if (this.#stopping) return;
    const explained = explain(error, this.#prefix);
    const message = String(explained);
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#instance.report(explained, "backplane");
  }
}

function checkOptions({ url, client }: RedisLocation, prefix: string, leaseMs: number): void {
  if (url !== undefined && client !== undefined) {
    throw new TypeError("Give url or client, not both.");
  }
  if (url !== undefined && !(/^rediss?:\/\//.test(url) && URL.canParse(url))) {
    // Not shown: it may hold a password.
    throw new TypeError("url must be a URL that begins with redis:// or rediss://.");
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
