import type { Instance } from "../backplane.ts";
import { type Client, Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { RedisBroker } from "./redis-broker.ts";
import { Scripts } from "./scripts.ts";
import { Subscriptions } from "./subscriptions.ts";

/** How often an instance sends itself a message, to know that its subscriptions live; in milliseconds. */
const CANARY_EVERY_MS = 5000;
/** So many that did not come back mean that the subscriber is deaf. */
const CANARIES_MISSED = 2;

/** What a link asks of its owner. */
export interface LinkEvents {
  /** Redis is there again; messages flow when this resolves. A rejection makes the connection anew. */
  joining(): Promise<void>;
  /** Something about Redis that people should know. */
  trouble(error: unknown): void;
}

/**
 * An instance's two connections to Redis, one for commands and one for subscriptions. Messages flow while
 * both are up; whatever is wrong with one of them, it is made anew.
 */
export class RedisLink {
  readonly broker: RedisBroker;
  readonly scripts: Scripts;
  readonly #commands: Connection;
  readonly #subscriber: Connection;
  readonly #subscriptions: Subscriptions;
  readonly #events: LinkEvents;
  readonly #canaryChannel: string;
  #canaryTimer: NodeJS.Timeout | null = null;
  #canariesOut = 0;

  constructor(
    makeClient: () => Promise<Client>,
    keys: Keys,
    instance: Instance,
    incarnation: string,
    events: LinkEvents,
  ) {
    this.#events = events;
    this.#canaryChannel = keys.channel(`instance:${instance.id}`);
    this.#subscriptions = new Subscriptions(
      (message, channel) => this.#receive(message, channel),
      (error) => this.#subscriber.rebuild(error),
    );
    this.broker = new RedisBroker(instance, keys, incarnation, this.#subscriptions, (reason) =>
      this.#rebuild(reason),
    );
    this.#commands = new Connection(makeClient, {
      up: () => this.#joinIfUp(),
      down: (reason) => this.#down(reason),
    });
    this.#subscriber = new Connection(makeClient, {
      up: async (client) => {
        await this.#subscriptions.connected(client);
        await this.#joinIfUp();
      },
      down: (reason) => {
        this.#subscriptions.disconnected();
        this.#down(reason);
      },
    });
    this.scripts = new Scripts(() => this.#commands.client);
  }

  /** Resolves when both connections were tried once, whether or not Redis is there. */
  async start(): Promise<void> {
    void this.#subscriptions.want(this.#canaryChannel);
    this.#canaryTimer = setInterval(() => this.#sendCanary(), CANARY_EVERY_MS).unref();
    await Promise.all([this.#commands.start(), this.#subscriber.start()]);
  }

  async stop(): Promise<void> {
    if (this.#canaryTimer !== null) clearInterval(this.#canaryTimer);
    this.broker.lost();
    await Promise.all([this.#commands.stop(), this.#subscriber.stop()]);
    this.#subscriptions.stop();
  }

  async #joinIfUp(): Promise<void> {
    const commands = this.#commands.client;
    if (commands === null || !this.#subscriptions.complete) return;
    await this.#events.joining();
    // Either may have been lost while the owner was joining.
    if (this.#commands.client !== commands || !this.#subscriptions.complete) return;
    this.#canariesOut = 0;
    this.broker.connected(commands);
  }

  #down(reason: unknown): void {
    this.broker.lost();
    this.#events.trouble(reason);
  }

  #rebuild(reason: Error): void {
    this.#commands.rebuild(reason);
    this.#subscriber.rebuild(reason);
  }

  #receive(message: Buffer, channel: Buffer): void {
    if (message.equals(CANARY) && channel.equals(Buffer.from(this.#canaryChannel))) {
      this.#canariesOut = 0;
    } else this.broker.receive(message, channel);
  }

  #sendCanary(): void {
    const client = this.#commands.client;
    if (client === null || this.broker.status === "degraded") return;
    if (this.#canariesOut >= CANARIES_MISSED) {
      this.#canariesOut = 0;
      this.#subscriber.rebuild(new Error("Redis lost a subscription without saying so."));
      return;
    }
    this.#canariesOut++;
    // A failure is the watchdog's to find.
    client.publish(this.#canaryChannel, CANARY).catch(() => {});
  }
}

const CANARY = Buffer.from("roomcast canary");
