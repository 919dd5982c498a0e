import { type Client, Connection, heard } from "./connection.ts";
import { Replication } from "./replication.ts";
import { RollCall } from "./roll-call.ts";
import { type SubscriptionOptions, Subscriptions } from "./subscriptions.ts";

/** How often an instance sends itself a message, to know that its subscriptions live; in milliseconds. */
const CANARY_EVERY_MS = 5000;
/** So many that did not come back mean that the subscriber is deaf. */
const CANARIES_MISSED = 2;

export interface ShardOptions extends Pick<SubscriptionOptions, "sharded" | "bucketOf"> {
  /** The buckets it holds. */
  readonly buckets: readonly number[];
  /** A channel in one of them that nobody else publishes to. */
  readonly canary: string;
  /** A key in one of them that nobody reads. */
  readonly mark: string;
  /** A channel in one of them that every instance subscribes to last; see `tellAll`. */
  readonly rollCall: string;
  makeClient(): Promise<Client>;
}

/** Whom a shard tells what happens to it. Only `joining` may reject, and none may throw. */
export interface ShardEvents {
  /** The channels of this shard that somebody here wants. */
  wanted(): Iterable<string>;
  receive(message: Buffer, channel: Buffer): void;
  /** The channel is about to be unsubscribed from. */
  leaving(channel: string): void;
  /**
   * Both connections are up, and everything wanted is subscribed to. Messages flow when this resolves; a
   * rejection makes the connection anew.
   */
  joining(shard: Shard, client: Client): Promise<void>;
  flows(): void;
  /** How many instances there are, as this shard knows. */
  living(shard: Shard): Promise<number>;
  /** Messages flow no more. */
  lost(): void;
  /** A connection was lost, or could not be made. */
  down(reason: unknown): void;
}

/**
 * A Redis that takes writes, alone or one of a Cluster: two connections, one for commands and one for
 * subscriptions. Messages flow while both are up; whatever is wrong with one of them, it is made anew.
 */
export class Shard {
  readonly buckets: readonly number[];
  readonly subscriptions: Subscriptions;
  /** What waits for replicas. */
  readonly replication: Replication;
  readonly #sharded: boolean;
  readonly #canary: string;
  /** Asks whether all who should hear what is published do. */
  readonly rollCall: RollCall;
  readonly #rollCallChannel: string;
  readonly #events: ShardEvents;
  readonly #commands: Connection;
  readonly #subscriber: Connection;
  #flowing = false;
  #canaryTimer: NodeJS.Timeout | null = null;
  #canariesOut = 0;

  constructor(options: ShardOptions, events: ShardEvents) {
    const { buckets, canary, mark, rollCall, sharded, bucketOf, makeClient } = options;
    this.#rollCallChannel = rollCall;
    this.rollCall = new RollCall({
      hearing: () => this.subscribers(rollCall),
      living: () => events.living(this),
    });
    this.replication = new Replication(makeClient, mark);
    this.buckets = buckets;
    this.#canary = canary;
    this.#sharded = sharded;
    this.#events = events;
    this.subscriptions = new Subscriptions({
      sharded,
      bucketOf,
      receive: (message, channel) => this.#receive(message, channel),
      leaving: (channel) => events.leaving(channel),
      failed: (error) => this.#subscriber.rebuild(error),
    });
    this.#commands = new Connection(makeClient, {
      up: () => this.#joinIfUp(),
      down: (reason) => this.#down(reason),
    });
    this.#subscriber = new Connection(makeClient, {
      up: (client) => this.#subscribe(client),
      down: (reason) => {
        this.subscriptions.disconnected();
        this.#down(reason);
      },
    });
  }

  /** For commands; null while there is no connection. */
  get client(): Client | null {
    return this.#commands.client;
  }

  /** Whether what is published reaches everybody. */
  get flowing(): boolean {
    return this.#flowing;
  }

  /** Rejects if Redis did not take the message, or nobody knows. */
  async publish(channel: string, message: Buffer): Promise<void> {
    const client = this.#commands.client;
    if (client === null) throw new Error("There is no connection to Redis.");
    await (this.#sharded ? client.sPublish(channel, message) : client.publish(channel, message));
    heard(client);
  }

  /** Publishes what every instance is told. Rejects as `publish` does. */
  tellAll(message: Buffer): Promise<void> {
    return this.publish(this.#rollCallChannel, message);
  }

  /** How many are subscribed to the channel, at the moment Redis takes what was published before. */
  async subscribers(channel: string): Promise<number> {
    const client = this.#commands.client;
    if (client === null) throw new Error("There is no connection to Redis.");
    const what = this.#sharded ? "SHARDNUMSUB" : "NUMSUB";
    const [, count] = (await client.sendCommand(["PUBSUB", what, channel])) as [string, number];
    return Number(count);
  }

  /** Resolves when both connections were tried once, whether or not Redis is there. */
  async start(): Promise<void> {
    this.#canaryTimer = setInterval(() => this.#sendCanary(), CANARY_EVERY_MS).unref();
    await Promise.all([this.#commands.start(), this.#subscriber.start()]);
  }

  async stop(): Promise<void> {
    if (this.#canaryTimer !== null) clearInterval(this.#canaryTimer);
    this.#lost();
    await Promise.all([this.#commands.stop(), this.#subscriber.stop(), this.replication.stop()]);
    this.subscriptions.disconnected();
  }

  /** Makes both connections anew, because Redis does not do what it should. */
  rebuild(reason: unknown): void {
    this.#lost();
    this.#commands.rebuild(reason);
    this.#subscriber.rebuild(reason);
  }

  async #subscribe(client: Client): Promise<void> {
    // In a Cluster Redis ends subscriptions of a slot that moves, in the midst of others.
    client.on("sharded-channel-moved", () => {
      this.#subscriber.rebuild(new SlotMovedError());
    });
    const wanted = [this.#canary, ...this.#events.wanted()];
    // Whoever is subscribed to that of the roll call hears everything.
    await this.subscriptions.connected(client, wanted, this.#rollCallChannel);
    await this.#joinIfUp();
  }

  async #joinIfUp(): Promise<void> {
    const client = this.#commands.client;
    if (client === null || !this.subscriptions.complete) return;
    await this.#events.joining(this, client);
    // Either may have been lost while the owner was joining.
    if (this.#commands.client !== client || !this.subscriptions.complete || this.#flowing) return;
    this.#canariesOut = 0;
    this.#flowing = true;
    this.#events.flows();
  }

  #lost(): void {
    if (!this.#flowing) return;
    this.#flowing = false;
    this.#events.lost();
  }

  #down(reason: unknown): void {
    this.#lost();
    this.#events.down(reason);
  }

  #receive(message: Buffer, channel: Buffer): void {
    if (this.#subscriber.client !== null) heard(this.#subscriber.client);
    if (message.equals(CANARY) && channel.toString() === this.#canary) this.#canariesOut = 0;
    else this.#events.receive(message, channel);
  }

  #sendCanary(): void {
    if (!this.#flowing) return;
    if (this.#canariesOut >= CANARIES_MISSED) {
      this.#canariesOut = 0;
      this.#subscriber.rebuild(new Error("Redis lost a subscription without saying so."));
      return;
    }
    this.#canariesOut++;
    // A failure is the watchdog's to find.
    this.publish(this.#canary, CANARY).catch(() => {});
  }
}

/** A server holds another part of the Cluster than it did. */
export class SlotMovedError extends Error {
  constructor() {
    super("The Redis Cluster moved a slot.");
  }
}

const CANARY = Buffer.from("roomcast canary");
