import type { Instance } from "../contract/backplane.ts";
import type { Broker, BrokerStatus, Channel, Packet, Publication } from "../contract/broker.ts";

/** Who is subscribed to what, among the instances that share a memory backplane. */
export class MemoryChannels {
  /** They are few, but there is a channel for each user: lists take the least memory. */
  readonly #subscribers: Map<Channel, readonly Instance[]> = new Map();

  subscribe(channel: Channel, instance: Instance): void {
    const subscribers = this.#subscribers.get(channel) ?? NOBODY;
    if (subscribers.length === 0) this.#subscribers.set(channel, [instance]);
    else if (!subscribers.includes(instance)) {
      this.#subscribers.set(channel, subscribers.concat([instance]));
    }
  }

  unsubscribe(channel: Channel, instance: Instance): void {
    const rest = this.subscribers(channel).filter((subscriber) => subscriber !== instance);
    if (rest.length === 0) this.#subscribers.delete(channel);
    else this.#subscribers.set(channel, rest);
  }

  unsubscribeAll(instance: Instance): void {
    for (const channel of this.#subscribers.keys()) this.unsubscribe(channel, instance);
  }

  /** A list that stays as it is, whoever comes or goes meanwhile. */
  subscribers(channel: Channel): readonly Instance[] {
    return this.#subscribers.get(channel) ?? NOBODY;
  }
}

const NOBODY: readonly Instance[] = [];
const SUBSCRIBED: Promise<void> = Promise.resolve();

/** Delivers at once: a publication has reached every instance when `publish` returns. */
export class MemoryBroker implements Broker {
  readonly status: BrokerStatus = "connected";
  readonly #channels: MemoryChannels;
  readonly #instance: Instance;

  constructor(channels: MemoryChannels, instance: Instance) {
    this.#channels = channels;
    this.#instance = instance;
  }

  subscribe(channel: Channel): Promise<void> {
    this.#channels.subscribe(channel, this.#instance);
    return SUBSCRIBED;
  }

  unsubscribe(channel: Channel): void {
    this.#channels.unsubscribe(channel, this.#instance);
  }

  publish(channel: Channel, packet: Packet): Promise<Publication> {
    return Promise.resolve(this.publishNow(channel, packet));
  }

  publishNow(channel: Channel, packet: Packet): Publication {
    let localRecipients = 0;
    for (const instance of this.#channels.subscribers(channel)) {
      const recipients = instance.receive(channel, packet);
      if (instance === this.#instance) localRecipients = recipients;
    }
    return { scope: "cluster", localRecipients };
  }

  async subscribers(channel: Channel): Promise<number> {
    return this.#channels.subscribers(channel).length;
  }

  close(): void {
    this.#channels.unsubscribeAll(this.#instance);
  }
}
