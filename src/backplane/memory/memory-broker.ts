import type { Instance } from "../contract/backplane.ts";
import type { Broker, BrokerStatus, Channel, Packet, Publication } from "../contract/broker.ts";

/** Who is subscribed to what, among the instances that share a memory backplane. */
export class MemoryChannels {
  readonly #subscribers: Map<Channel, Set<Instance>> = new Map();

  subscribe(channel: Channel, instance: Instance): void {
    const subscribers = this.#subscribers.get(channel);
    if (subscribers === undefined) this.#subscribers.set(channel, new Set([instance]));
    else subscribers.add(instance);
  }

  unsubscribe(channel: Channel, instance: Instance): void {
    const subscribers = this.#subscribers.get(channel);
    subscribers?.delete(instance);
    if (subscribers?.size === 0) this.#subscribers.delete(channel);
  }

  subscribers(channel: Channel): Iterable<Instance> {
    return this.#subscribers.get(channel) ?? NOBODY;
  }
}

const NOBODY: readonly Instance[] = [];

/** Delivers at once: a publication has reached every instance when `publish` returns. */
export class MemoryBroker implements Broker {
  readonly status: BrokerStatus = "connected";
  readonly #channels: MemoryChannels;
  readonly #instance: Instance;
  readonly #own: Set<Channel> = new Set();

  constructor(channels: MemoryChannels, instance: Instance) {
    this.#channels = channels;
    this.#instance = instance;
  }

  async subscribe(channel: Channel): Promise<void> {
    this.#own.add(channel);
    this.#channels.subscribe(channel, this.#instance);
  }

  unsubscribe(channel: Channel): void {
    if (this.#own.delete(channel)) this.#channels.unsubscribe(channel, this.#instance);
  }

  async publish(channel: Channel, packet: Packet): Promise<Publication> {
    let localRecipients = 0;
    for (const instance of this.#channels.subscribers(channel)) {
      const recipients = instance.receive(channel, packet);
      if (instance === this.#instance) localRecipients = recipients;
    }
    return { scope: "cluster", localRecipients };
  }

  close(): void {
    for (const channel of this.#own) this.#channels.unsubscribe(channel, this.#instance);
    this.#own.clear();
  }
}
