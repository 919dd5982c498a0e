import { randomBytes } from "node:crypto";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import type { BucketKeys } from "./bucket-keys.ts";
import { defineScript, isReply, type Script, type Scripts } from "./scripts.ts";

/** How long after a lease ended it is looked whether it really has, in milliseconds. */
const SWEEP_AFTER_MS = 200;

/**
 * The head of every script that asks who is alive.
 *
 * An incarnation is alive until its lease ends, by the clock of Redis. But when nobody has beaten for
 * half a lease, or the clock jumped, Redis was away or frozen and nobody could renew: then all count as
 * alive, and the first to beat renews every lease. Otherwise the first one back would clear away the
 * others. A lease of 0 is that of a dead one that is being cleared away; there is no return from that.
 */
export const LIVENESS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lastbeat = tonumber(redis.call('HGET', KEYS[2], 'lastbeat') or now)
local silent = now < lastbeat or now - lastbeat > ARGV[1] / 2
local living = {}
local function alive(incarnation)
  if living[incarnation] == nil then
    local lease = tonumber(redis.call('ZSCORE', KEYS[1], incarnation) or 0)
    living[incarnation] = lease > now or (silent and lease > 0)
  end
  return living[incarnation]
end
-- Its owner may write while alive, which is counted; anybody else (an empty owner) may clear away the dead.
local function maywrite(incarnation, owner)
  if owner == '' then return not alive(incarnation) end
  if not alive(incarnation) or redis.call('HGET', KEYS[3], incarnation) ~= owner then return false end
  redis.call('HINCRBY', KEYS[3], incarnation .. ':writes', 1)
  return true
end
`;

/** O(1) in connections; O(instances) only after a silence. */
const BEAT: Script = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners
-- ARGV: 1 lease (ms), 2 incarnation, 3 owner, 4 generation the instance knows, 5 random, 6 how many of its
--   writes Redis has confirmed
-- Answers status, generation, expired incarnations, ms until the next lease of another ends (or -1), and how
--   many of its writes are there
${LIVENESS}
local generation = redis.call('HGET', KEYS[2], 'generation')
if not generation then
  generation = string.format('%d-%s', now, ARGV[5])
  redis.call('HSET', KEYS[2], 'generation', generation)
end
if silent then
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(0', '+inf')) do
    redis.call('ZADD', KEYS[1], now + ARGV[1], other)
  end
end
redis.call('HSET', KEYS[2], 'lastbeat', now)
local status = 'ok'
if generation ~= ARGV[4] then
  status = 'fresh'
elseif not alive(ARGV[2]) then
  return {'lapsed', generation, {}, -1, 0}
end
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
local writes = tonumber(redis.call('HGET', KEYS[3], ARGV[2] .. ':writes') or 0)
if status == 'ok' and writes < tonumber(ARGV[6]) then status = 'reverted' end
local upcoming = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 2)
local nextend = -1
for i = 1, #upcoming, 2 do
  if nextend < 0 and upcoming[i] ~= ARGV[2] then nextend = upcoming[i + 1] - now end
end
return {status, generation, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now), nextend, writes}
`);

type Beat = [
  status: "ok" | "fresh" | "reverted" | "lapsed",
  generation: string,
  expired: string[],
  nextEnd: number,
  writes: number,
];

/** What a lease tells its owner. None of these may throw. */
export interface LeaseEvents {
  /** Redis has beaten; what this incarnation wrote is there. */
  kept(): void;
  /** Redis is empty: it knows nothing of what was written. */
  emptied(): void;
  /** Redis has forgotten the last of what was written: another one took its place, which lagged behind. */
  reverted(): void;
  /** The others count `before` as dead; there is a new incarnation, which has written nothing. */
  lapsed(before: string): void;
  /** These are dead. Told again until they are cleared away. */
  expired(incarnations: readonly string[]): void;
  /** Redis answered with an error. */
  failed(error: unknown): void;
}

/**
 * An instance's word that it is alive: renewed every third of a lease by one script, however many
 * connections there are. What an instance writes in Redis is its own under its incarnation, and counts
 * as long as the lease.
 */
export class Lease {
  readonly leaseMs: number;
  readonly #scripts: Scripts;
  readonly #keys: BucketKeys;
  readonly #instanceId: string;
  readonly #events: LeaseEvents;
  #incarnation: string = newIncarnation();
  #generation = "";
  #session = 0;
  /** How many writes of this incarnation Redis has confirmed, or is known to have. */
  #writes = 0;
  #beating: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #early: NodeJS.Timeout | null = null;

  constructor(
    scripts: Scripts,
    keys: BucketKeys,
    instanceId: string,
    leaseMs: number,
    events: LeaseEvents,
  ) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#instanceId = instanceId;
    this.leaseMs = leaseMs;
    this.#events = events;
  }

  /** One life of this instance: random, without a colon. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /**
   * The instance and how often it joined: what is written under an older one is fenced, so that a write
   * on a connection that was given up harms nobody when it turns up late.
   */
  get owner(): string {
    return `${this.#session} ${this.#instanceId}`;
  }

  /** The first arguments of every script that writes for this instance. */
  get identity(): [lease: string, incarnation: string, owner: string] {
    return [String(this.leaseMs), this.#incarnation, this.owner];
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#beatUnasked(), this.leaseMs / 3).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#early !== null) clearTimeout(this.#early);
    this.#timer = null;
    this.#early = null;
  }

  /** Beats on a new connection. Rejects as `Scripts.run` does. */
  async join(): Promise<void> {
    await this.#beating?.catch(() => {});
    this.#session++;
    await this.beat();
  }

  /** Beats now, unless a beat is under way already. Rejects as `Scripts.run` does. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = null;
    });
    return this.#beating;
  }

  /**
   * Does a write that answers null if it was fenced: beats then, and does it again. null: Redis cannot
   * take it now.
   */
  async write<T>(run: () => Promise<T | null>): Promise<T | null> {
    try {
      const answer = await run();
      if (answer !== null) return answer;
      await this.beat();
      return await run();
    } catch (error) {
      if (isReply(error)) this.#events.failed(error);
      else if (!(error instanceof BackplaneUnavailableError)) throw error;
      return null;
    }
  }

  /** Takes note of what a script answered that asked `maywrite`; null: it was fenced. */
  counted<T>(answer: T | null): T | null {
    if (answer !== null) this.#writes++;
    return answer;
  }

  /** Does a write that rejects if it is fenced: what follows would be so too. */
  async insist<T>(run: () => Promise<T | null>): Promise<T> {
    const answer = await run();
    if (answer !== null) return answer;
    throw new BackplaneUnavailableError("The lease ended meanwhile.", "not-stored");
  }

  async #beat(): Promise<void> {
    const before = this.#incarnation;
    let beat = await this.#send();
    if (beat[0] === "lapsed") {
      this.#incarnation = newIncarnation();
      this.#generation = "";
      this.#writes = 0;
      beat = await this.#send();
    }
    const [status, generation, expired, nextEnd, writes] = beat;
    this.#generation = generation;
    // Answers come in order: what is confirmed from now on was written after the beat.
    this.#writes = writes;
    if (this.#incarnation !== before) this.#events.lapsed(before);
    else if (status === "fresh") this.#events.emptied();
    else if (status === "reverted") this.#events.reverted();
    else this.#events.kept();
    if (expired.length > 0) this.#events.expired(expired);
    this.#beatEarly(nextEnd);
  }

  async #send(): Promise<Beat> {
    const random = randomBytes(6).toString("base64url");
    const args = [...this.identity, this.#generation, random, String(this.#writes)];
    return (await this.#scripts.run(BEAT, this.#keys.leases, args)) as Beat;
  }

  /** Is there when another's lease ends without having been renewed. */
  #beatEarly(nextEnd: number): void {
    if (this.#early !== null) clearTimeout(this.#early);
    this.#early = null;
    if (nextEnd < 0 || this.#timer === null) return;
    this.#early = setTimeout(() => this.#beatUnasked(), nextEnd + SWEEP_AFTER_MS).unref();
  }

  /** One that fails is made up for: by the next, or when the connection is made anew. */
  #beatUnasked(): void {
    this.beat().catch((error) => {
      if (isReply(error)) this.#events.failed(error);
    });
  }
}

function newIncarnation(): string {
  return randomBytes(9).toString("base64url");
}

/** The instance id in an owner. */
export function instanceOf(owner: string): string {
  return owner.slice(owner.indexOf(" ") + 1);
}
