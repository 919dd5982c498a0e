import { setTimeout as wait } from "node:timers/promises";
import type { Channel } from "../../contract/broker.ts";
import type { Keys } from "../keys.ts";
import type { Address, ClientFactory } from "./client-factory.ts";
import { nameOf, type Primary, readMap } from "./cluster-map.ts";
import { isReply } from "./run.ts";
import type { Servers, ServersEvents } from "./servers.ts";
import { Shard, SlotMovedError } from "./shard.ts";

/** How long it takes at least until the map is read again, in milliseconds; twice as long each time. */
const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 1000;

/**
 * The primaries of a Redis Cluster. The map of who holds what is read again whenever something does not
 * fit it: a server says that a key is elsewhere, ends a subscription, or is lost. A server whose buckets
 * changed gets new connections: with those of old, subscriptions of a slot that moved may be lost in
 * silence.
 */
export class ClusterServers implements Servers {
  readonly #clients: ClientFactory;
  readonly #keys: Keys;
  readonly #canary: Channel;
  readonly #events: ServersEvents;
  readonly #stopping: AbortController = new AbortController();
  /** By address. */
  readonly #shards: Map<string, { readonly address: Address; readonly shard: Shard }> = new Map();
  /** By bucket. */
  readonly #holders: (Shard | undefined)[] = [];
  /** Asked first when the map is read: it knows something new. */
  #hint: Address | null = null;
  #looking: Promise<void> | null = null;
  /** Something did not fit the map since the last reading began. */
  #doubted = false;

  constructor(clients: ClientFactory, keys: Keys, canary: Channel, events: ServersEvents) {
    this.#clients = clients;
    this.#keys = keys;
    this.#canary = canary;
    this.#events = events;
  }

  get complete(): boolean {
    return this.#keys.buckets.every((_, bucket) => this.#holders[bucket]?.flowing);
  }

  of(name: string): Shard | null {
    return this.#holders[this.#keys.bucketOf(name)] ?? null;
  }

  /** Reads the map, and tries each server once. */
  async start(): Promise<void> {
    await this.#look();
    this.#settle();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const stopped = [...this.#shards.values()].map(({ shard }) => shard.stop());
    await Promise.all([this.#looking, ...stopped]);
    this.#shards.clear();
    this.#holders.length = 0;
  }

  #doubt(): void {
    this.#doubted = true;
    this.#settle();
  }

  /** Reads the map until it fits, unless that is under way. */
  #settle(): void {
    this.#looking ??= this.#lookUntilSettled().finally(() => {
      this.#looking = null;
      // Something may have come up after the last look.
      if (this.#isUnsettled && !this.#stopping.signal.aborted) this.#settle();
    });
  }

  async #lookUntilSettled(): Promise<void> {
    const { signal } = this.#stopping;
    for (let delay = FIRST_DELAY_MS; this.#isUnsettled && !signal.aborted; ) {
      this.#doubted = false;
      await wait(delay * (0.5 + Math.random() / 2), undefined, { signal, ref: false }).catch(
        () => {},
      );
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
      if (!signal.aborted) await this.#look();
    }
  }

  get #isUnsettled(): boolean {
    return this.#doubted || !this.complete;
  }

  /** Takes the word of the first node that answers. Resolves when every new server was tried. */
  async #look(): Promise<void> {
    const failures: unknown[] = [];
    for (const node of this.#nodes()) {
      try {
        const primaries = await readMap(this.#clients, node, this.#keys.buckets.length);
        if (!this.#stopping.signal.aborted) await this.#apply(primaries);
        return;
      } catch (error) {
        failures.push(error);
      }
    }
    for (const failure of failures) this.#events.trouble(failure);
  }

  /**
   * Whom to ask: who knows something new, then who is there, then who was named at the start. Never the same
   * one first: it may be cut off from the others, and know of nothing that has happened since.
   */
  #nodes(): Address[] {
    const hint = this.#hint === null ? [] : [this.#hint];
    this.#hint = null;
    const known = [...this.#shards.values()]
      .filter(({ shard }) => shard.client !== null)
      .map(({ address }) => ({ address, place: Math.random() }))
      .sort((a, b) => a.place - b.place)
      .map(({ address }) => address);
    return [...hint, ...known, ...(this.#clients.seeds ?? [])];
  }

  async #apply(primaries: readonly Primary[]): Promise<void> {
    const fresh = new Map(primaries.map((primary) => [nameOf(primary.address), primary]));
    for (const [name, { shard }] of this.#shards) {
      if (String(fresh.get(name)?.buckets) === String(shard.buckets)) fresh.delete(name);
      else {
        this.#shards.delete(name);
        for (const bucket of shard.buckets) this.#holders[bucket] = undefined;
        void shard.stop();
      }
    }
    const added = [...fresh].map(([name, { address, buckets }]) => {
      const shard = this.#make(address, buckets);
      this.#shards.set(name, { address, shard });
      for (const bucket of buckets) this.#holders[bucket] = shard;
      return shard;
    });
    this.#events.changed();
    await Promise.all(added.map((shard) => shard.start()));
  }

  #make(address: Address, buckets: readonly number[]): Shard {
    const shard: Shard = new Shard(
      {
        buckets,
        canary: this.#keys.channelIn(buckets[0] ?? 0, this.#canary),
        mark: this.#keys.markIn(buckets[0] ?? 0),
        rollCall: this.#keys.rollCallIn(buckets[0] ?? 0),
        sharded: true,
        bucketOf: (channel) => this.#keys.bucketOf(channel),
        makeClient: () => this.#clients.make(address),
      },
      {
        wanted: () => this.#events.wanted(shard),
        receive: this.#events.receive,
        leaving: this.#events.leaving,
        joining: this.#events.joining,
        flows: this.#events.changed,
        living: this.#events.living,
        lost: () => this.#events.lost(shard),
        down: (reason) => {
          if (!this.#isCurrent(shard)) return;
          this.#hint = holderIn(reason) ?? this.#hint;
          const moved = reason instanceof SlotMovedError || isReply(reason, "MOVED");
          if (!moved) this.#events.trouble(reason);
          this.#doubt();
        },
      },
    );
    return shard;
  }

  #isCurrent(shard: Shard): boolean {
    return this.#holders[shard.buckets[0] ?? 0] === shard;
  }
}

/** Where a server says that a slot is now. */
function holderIn(answer: unknown): Address | null {
  if (!isReply(answer, "MOVED")) return null;
  const [, host, port] = /^MOVED \d+ (.*):(\d+)$/.exec(answer.message) ?? [];
  return host ? { host, port: Number(port) } : null;
}
