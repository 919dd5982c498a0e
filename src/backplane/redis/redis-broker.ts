import type { Instance } from "../backplane.ts";
import type { Broker, BrokerStatus, Channel, Packet, Publication } from "../broker.ts";
import type { Client } from "./connection.ts";
import type { Keys } from "./keys.ts";
import type { Subscriptions } from "./subscriptions.ts";
import { decodePacket, encodePacket } from "./wire.ts";

/** How long a message may wait for Redis before this instance goes on by itself, in milliseconds. */
const DEADLINE_MS = 2500;

/** A message on its way through Redis. */
interface Outstanding {
  readonly channel: Channel;
  readonly packet: Packet;
  readonly sentAt: number;
  /** It comes back to this instance, which delivers it then. */
  readonly returns: boolean;
  /** It is in a log, or will be, or not: without Redis nobody knows, so it is not delivered here. */
  readonly stored: boolean;
  /** Redis has said that it took it. */
  accepted: boolean;
  resolve(publication: Publication): void;
}

/**
 * Publishes through Redis and delivers from the subscription, the publisher's own messages too: that is
 * what gives one order everywhere.
 *
 * When Redis is lost the epoch is raised, what has not come back is delivered here in the order it was
 * sent, and new messages after it. Echoes of an older epoch are dropped when they turn up late, here and
 * by everybody who has seen the new one. So nothing is delivered twice or out of a sender's order, and
 * no list of ids is needed.
 */
export class RedisBroker implements Broker {
  readonly #instance: Instance;
  readonly #keys: Keys;
  readonly #incarnation: string;
  readonly #subscriptions: Subscriptions;
  readonly #hung: (reason: Error) => void;
  /** For each sender: the highest epoch seen. */
  readonly #epochs: Map<string, number> = new Map();
  /** In the order they were sent. */
  readonly #outstanding: Map<number, Outstanding> = new Map();
  #commands: Client | null = null;
  #epoch = 1;
  #sequence = 0;
  #deadline: NodeJS.Timeout | null = null;
  #garbage = 0;

  /** `hung`: Redis has not answered in time, so its connections must be made anew. */
  constructor(
    instance: Instance,
    keys: Keys,
    incarnation: string,
    subscriptions: Subscriptions,
    hung: (reason: Error) => void,
  ) {
    this.#instance = instance;
    this.#keys = keys;
    this.#incarnation = incarnation;
    this.#subscriptions = subscriptions;
    this.#hung = hung;
  }

  get status(): BrokerStatus {
    return this.#commands === null ? "degraded" : "connected";
  }

  /** How many messages came on our channels that nobody could read. */
  get garbage(): number {
    return this.#garbage;
  }

  subscribe(channel: Channel): Promise<void> {
    return this.#subscriptions.want(this.#keys.channel(channel));
  }

  unsubscribe(channel: Channel): void {
    this.#subscriptions.release(this.#keys.channel(channel));
  }

  async publish(channel: Channel, packet: Packet): Promise<Publication> {
    const client = this.#commands;
    if (client === null) {
      return { scope: "instance", localRecipients: this.#instance.receive(channel, packet) };
    }
    const { name, bytes, sequence, publication } = this.#prepare(channel, packet, false);
    client.publish(name, bytes).then(
      () => this.#accepted(sequence),
      (error) => this.#refused(sequence, error),
    );
    return publication;
  }

  /**
   * Publishes by a script that also stores the packet; `run` is given the channel's name and the bytes, and
   * says whether it published. Rejects as `run` does, and then nothing was delivered here.
   */
  async publishStored<T extends { readonly published: boolean }>(
    channel: Channel,
    packet: Packet,
    run: (name: string, bytes: Buffer) => Promise<T>,
  ): Promise<{ readonly outcome: T; readonly publication: Publication }> {
    const { name, bytes, sequence, publication } = this.#prepare(channel, packet, true);
    try {
      const outcome = await run(name, bytes);
      if (!outcome.published) {
        this.#outstanding.delete(sequence);
        return { outcome, publication: { scope: "cluster", localRecipients: 0 } };
      }
      this.#accepted(sequence);
      return { outcome, publication: await publication };
    } catch (error) {
      this.#outstanding.delete(sequence);
      throw error;
    }
  }

  /** Takes what the subscriber connection brings. Never throws. */
  receive(message: Buffer, name: Buffer): void {
    const channel = this.#keys.channelOf(name.toString());
    const envelope = decodePacket(message);
    if (envelope === null) {
      this.#garbage++;
      return;
    }
    const { origin, packet } = envelope;
    // One from a log has its place there, which tells receivers whether they have had it.
    const linked = packet.type === "message" && packet.link !== undefined;
    if (origin === null) this.#instance.receive(channel, packet);
    else if (origin.incarnation === this.#incarnation) {
      const current = linked || origin.epoch === this.#epoch;
      if (current) this.#returned(origin.sequence, channel, packet);
    } else if (linked) this.#instance.receive(channel, packet);
    else if (origin.epoch >= (this.#epochs.get(origin.incarnation) ?? 0)) {
      this.#epochs.set(origin.incarnation, origin.epoch);
      this.#instance.receive(channel, packet);
    }
  }

  /** Redis is there, and so is every subscription. */
  connected(commands: Client): void {
    if (this.#commands !== null) return;
    this.#commands = commands;
    this.#instance.statusChanged("connected");
  }

  /** Redis is gone. What was on its way is delivered here, in the order it was sent. */
  lost(): void {
    if (this.#commands === null) return;
    this.#commands = null;
    this.#epoch++;
    const outstanding = [...this.#outstanding.values()];
    this.#outstanding.clear();
    if (this.#deadline !== null) clearInterval(this.#deadline);
    this.#deadline = null;
    for (const { channel, packet, accepted, returns, stored, resolve } of outstanding) {
      const deliver = returns && !stored;
      const localRecipients = deliver ? this.#instance.receive(channel, packet) : 0;
      resolve({ scope: accepted ? "cluster" : "unknown", localRecipients });
    }
    this.#instance.statusChanged("degraded");
  }

  /** Forgets senders other than those that are alive. */
  forgetSenders(alive: ReadonlySet<string>): void {
    for (const sender of this.#epochs.keys()) if (!alive.has(sender)) this.#epochs.delete(sender);
  }

  #prepare(
    channel: Channel,
    packet: Packet,
    stored: boolean,
  ): { name: string; bytes: Buffer; sequence: number; publication: Promise<Publication> } {
    const sequence = ++this.#sequence;
    const name = this.#keys.channel(channel);
    const returns = this.#subscriptions.isConfirmed(name);
    const publication = new Promise<Publication>((resolve) => {
      this.#outstanding.set(sequence, {
        channel,
        packet,
        sentAt: performance.now(),
        returns,
        stored,
        accepted: false,
        resolve,
      });
    });
    this.#watch();
    const origin = { incarnation: this.#incarnation, epoch: this.#epoch, sequence };
    return { name, bytes: encodePacket(origin, packet), sequence, publication };
  }

  #accepted(sequence: number): void {
    const message = this.#outstanding.get(sequence);
    if (message === undefined) return;
    message.accepted = true;
    if (message.returns) return;
    this.#outstanding.delete(sequence);
    message.resolve({ scope: "cluster", localRecipients: 0 });
  }

  #refused(sequence: number, error: unknown): void {
    if (!this.#outstanding.has(sequence)) return;
    this.#hung(error instanceof Error ? error : new Error(String(error)));
    this.lost();
  }

  #returned(sequence: number, channel: Channel, packet: Packet): void {
    const localRecipients = this.#instance.receive(channel, packet);
    const message = this.#outstanding.get(sequence);
    this.#outstanding.delete(sequence);
    message?.resolve({ scope: "cluster", localRecipients });
  }

  /** One timer for all that is outstanding; the first is always the oldest. */
  #watch(): void {
    this.#deadline ??= setInterval(() => {
      const [oldest] = this.#outstanding.values();
      if (oldest === undefined) {
        if (this.#deadline !== null) clearInterval(this.#deadline);
        this.#deadline = null;
      } else if (performance.now() - oldest.sentAt >= DEADLINE_MS) {
        this.#hung(new Error(`Redis did not bring back a message within ${DEADLINE_MS} ms.`));
        this.lost();
      }
    }, DEADLINE_MS / 10).unref();
  }
}
