import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import { quote } from "../../protocol/names.ts";
import type { Instance } from "../contract/backplane.ts";
import type { Broker, BrokerStatus, Channel, Packet, Publication } from "../contract/broker.ts";
import { SeenEpochs } from "./seen-epochs.ts";
import type { ChannelNames, Transport } from "./transport.ts";
import { Turn } from "./turn.ts";
import { decodePackets, type Envelope, encodePacket, encodePackets, type Origin } from "./wire.ts";

/** How long a message may wait for the service before this instance goes on by itself, in milliseconds. */
const DEADLINE_MS = 2500;

/** How often people are told of messages that nobody can read, in milliseconds. */
const TELL_GARBAGE_EVERY_MS = 60_000;

const YES: Promise<boolean> = Promise.resolve(true);

/** How many messages that were delivered when they were taken are remembered. */
const MAX_DELIVERED = 10_000;

/** What a broker needs of its instance. */
export type Receiver = Pick<Instance, "id" | "receive" | "statusChanged" | "report">;

/** A message on its way through the service. */
interface Outstanding {
  readonly sequence: number;
  readonly channel: Channel;
  /** The full name of that channel. */
  readonly name: string;
  readonly packet: Packet;
  readonly sentAt: number;
  /** It comes back to this instance, which delivers it then. */
  returns: boolean;
  /** Nobody knows whether it comes back, for the channel is being left: it is delivered when it was taken. */
  leaving: boolean;
  /** It is in a log, or will be, or not: without the service nobody knows, so it is not delivered here. */
  readonly stored: boolean;
  /** It has left this instance, with others of the same turn. */
  sent: boolean;
  /** The service has said that it took it. */
  accepted: boolean;
  /** Whether nobody is missing who may have to hear it. */
  everybody: Promise<boolean>;
  resolve(publication: Publication): void;
}

/**
 * Publishes through a service and delivers from the subscription, the publisher's own messages too: that is
 * what gives one order everywhere.
 *
 * When a server is lost the epoch of its buckets is raised, what has not come back is delivered here in the order it
 * was sent, and what follows on channels of that server after it. Echoes of an older epoch are dropped when
 * they turn up late, here and by everybody who has seen the new one. So nothing is delivered twice or out
 * of a sender's order, and no list of ids is needed.
 *
 * Messages of one turn to one channel travel together. Those to everybody, or to several rooms, keep their place among
 * all others, and orders go by themselves, after everything that was published before them.
 */
export class EchoBroker implements Broker {
  readonly #instance: Receiver;
  readonly #names: ChannelNames;
  readonly #incarnation: string;
  readonly #transport: Transport;
  readonly #epochs: SeenEpochs = new SeenEpochs();
  /** The own epochs, by bucket. */
  readonly #ownEpochs: number[] = [];
  /** Messages that were delivered when they were taken, and may come back all the same. */
  readonly #delivered: Set<number> = new Set();
  /** In the order they were sent. */
  readonly #outstanding: Map<number, Outstanding> = new Map();
  readonly #turn: Turn<Outstanding> = new Turn((name, messages) => this.#send(name, messages));
  #status: BrokerStatus = "degraded";
  #epoch = 1;
  #sequence = 0;
  #deadline: NodeJS.Timeout | null = null;
  #garbage = 0;
  #garbageToldAt = Number.NEGATIVE_INFINITY;

  constructor(instance: Receiver, names: ChannelNames, incarnation: string, transport: Transport) {
    this.#instance = instance;
    this.#names = names;
    this.#incarnation = incarnation;
    this.#transport = transport;
  }

  get status(): BrokerStatus {
    return this.#status;
  }

  /** Counts a message that nobody could read, and says so once in a while. */
  passOver(name: string): void {
    this.#garbage++;
    const now = performance.now();
    if (now < this.#garbageToldAt + TELL_GARBAGE_EVERY_MS) return;
    this.#garbageToldAt = now;
    const what = `Messages that nobody can read come on ${this.#transport.service} channels`;
    this.#instance.report(
      new Error(`${what}: ${this.#garbage} so far, the last on ${quote(name)}.`),
      "backplane",
    );
  }

  subscribe(channel: Channel): Promise<void> {
    return this.#transport.subscribe(this.#names.channel(channel));
  }

  unsubscribe(channel: Channel): void {
    this.#transport.unsubscribe(this.#names.channel(channel));
  }

  async subscribers(channel: Channel): Promise<number | null> {
    const name = this.#names.channel(channel);
    if (!this.#transport.flows(name)) return null;
    return this.#transport.subscribers(name).catch(() => null);
  }

  async publish(channel: Channel, packet: Packet): Promise<Publication> {
    const name = this.#names.channel(channel);
    if (!this.#transport.flows(name)) {
      return { scope: "instance", localRecipients: this.#instance.receive(channel, packet) };
    }
    const { message, publication } = this.#prepare(channel, name, packet, false);
    if (packet.type === "message") {
      this.#turn.add(name, message, packet.message.data.length, channel === "broadcast");
    } else {
      this.#turn.end();
      this.#send(name, [message]);
    }
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
    const name = this.#names.channel(channel);
    if (!this.#transport.flows(name)) {
      throw new BackplaneUnavailableError(
        `${this.#transport.service} is away: nothing was stored.`,
        "not-stored",
      );
    }
    const { message, publication } = this.#prepare(channel, name, packet, true);
    const { sequence } = message;
    this.#turn.endBefore(name);
    message.sent = true;
    try {
      const outcome = await run(name, encodePacket(this.#originOf(message), packet));
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
  receive(message: Buffer, name: string): void {
    const envelopes = decodePackets(message);
    if (envelopes === null) {
      this.passOver(name);
      return;
    }
    const channel = this.#names.channelOf(name);
    for (const envelope of envelopes) this.#take(channel, name, envelope);
  }

  #take(channel: Channel, name: string, { origin, packet }: Envelope): void {
    // One from a log has its place there, which tells receivers whether they have had it.
    const linked = packet.type === "message" && packet.link !== undefined;
    if (origin === null) this.#instance.receive(channel, packet);
    else if (origin.incarnation === this.#incarnation) {
      const current = linked || origin.epoch === this.#epochOf(name);
      if (current) this.#returned(origin.sequence, channel, packet);
    } else if (linked || this.#epochs.isCurrent(origin, this.#names.bucketOf(name))) {
      this.#instance.receive(channel, packet);
    }
  }

  /** The subscription to a channel is about to end: what is on its way there may come back, or not. */
  leaving(name: string): void {
    for (const message of this.#outstanding.values()) {
      if (message.name !== name || message.accepted || !message.returns) continue;
      message.returns = false;
      message.leaving = true;
    }
  }

  /** Messages flow on more channels, or perhaps on fewer. */
  transportChanged(): void {
    const status = this.#transport.complete ? "connected" : "degraded";
    if (status === this.#status) return;
    this.#status = status;
    this.#instance.statusChanged(status);
  }

  /** The server of these buckets is gone. What was on its way is delivered here, in the order it was sent. */
  lost(buckets: readonly number[]): void {
    this.#epoch++;
    for (const bucket of buckets) this.#ownEpochs[bucket] = this.#epoch;
    const gone = new Set(buckets);
    const outstanding = [...this.#outstanding].filter(([, { name }]) => {
      return gone.has(this.#names.bucketOf(name));
    });
    for (const [sequence] of outstanding) this.#outstanding.delete(sequence);
    for (const [
      ,
      { channel, packet, sent, accepted, returns, leaving, stored, resolve },
    ] of outstanding) {
      const deliver = (returns || leaving) && !stored;
      const localRecipients = deliver ? this.#instance.receive(channel, packet) : 0;
      const elsewhere = sent ? "unknown" : "instance";
      resolve({ scope: accepted ? "cluster" : elsewhere, localRecipients });
    }
    this.transportChanged();
  }

  #epochOf(name: string): number {
    return this.#ownEpochs[this.#names.bucketOf(name)] ?? 1;
  }

  #prepare(
    channel: Channel,
    name: string,
    packet: Packet,
    stored: boolean,
  ): { message: Outstanding; publication: Promise<Publication> } {
    let resolve: Outstanding["resolve"] = () => {};
    const publication = new Promise<Publication>((resolved) => {
      resolve = resolved;
    });
    const message: Outstanding = {
      sequence: ++this.#sequence,
      channel,
      name,
      packet,
      sentAt: performance.now(),
      returns: this.#transport.isSubscribed(name),
      leaving: false,
      stored,
      sent: false,
      accepted: false,
      everybody: YES,
      resolve,
    };
    this.#outstanding.set(message.sequence, message);
    this.#watch();
    return { message, publication };
  }

  #originOf({ name, sequence }: Outstanding): Origin {
    return { incarnation: this.#incarnation, epoch: this.#epochOf(name), sequence };
  }

  /** Sends what is outstanding still: the service may have been lost since, and they were delivered here. */
  #send(name: string, waiting: readonly Outstanding[]): void {
    const messages = waiting.filter(({ sequence }) => this.#outstanding.has(sequence));
    const [first] = messages;
    if (first === undefined) return;
    // Of an answer nobody asks how far it got. Whoever does not hear of what is stored finds it in its log.
    const isAsked = first.packet.type !== "answer";
    const everybody = isAsked ? this.#transport.everybodyHears(name) : YES;
    for (const message of messages) {
      message.sent = true;
      message.everybody = everybody;
    }
    const origin = this.#originOf(first);
    const bytes =
      messages.length === 1 ? encodePacket(origin, first.packet) : encodePackets(origin, messages);
    this.#transport.publish(name, bytes).then(
      () => {
        for (const { sequence } of messages) this.#accepted(sequence);
      },
      (error) => {
        for (const { sequence } of messages) this.#refused(sequence, error);
      },
    );
  }

  #accepted(sequence: number): void {
    const message = this.#outstanding.get(sequence);
    if (message === undefined) return;
    message.accepted = true;
    if (message.returns) return;
    this.#outstanding.delete(sequence);
    const here = message.leaving && !message.stored;
    if (here) this.#remember(sequence);
    const localRecipients = here ? this.#instance.receive(message.channel, message.packet) : 0;
    settle(message, localRecipients);
  }

  #remember(sequence: number): void {
    this.#delivered.add(sequence);
    for (const oldest of this.#delivered) {
      if (this.#delivered.size <= MAX_DELIVERED) break;
      this.#delivered.delete(oldest);
    }
  }

  #refused(sequence: number, error: unknown): void {
    const message = this.#outstanding.get(sequence);
    if (message === undefined) return;
    this.#failed(message.name, error instanceof Error ? error : new Error(String(error)));
  }

  /** The transport says that it is lost; should it not be, what failed is delivered here all the same. */
  #failed(name: string, reason: Error): void {
    const epoch = this.#epochOf(name);
    this.#transport.failed(name, reason);
    if (this.#epochOf(name) === epoch) this.lost([this.#names.bucketOf(name)]);
  }

  #returned(sequence: number, channel: Channel, packet: Packet): void {
    if (this.#delivered.delete(sequence)) return;
    const localRecipients = this.#instance.receive(channel, packet);
    const message = this.#outstanding.get(sequence);
    this.#outstanding.delete(sequence);
    if (message !== undefined) settle(message, localRecipients);
  }

  /** One timer for all that is outstanding; the first is always the oldest. */
  #watch(): void {
    this.#deadline ??= setInterval(() => {
      const [oldest] = this.#outstanding.values();
      if (oldest === undefined) {
        if (this.#deadline !== null) clearInterval(this.#deadline);
        this.#deadline = null;
      } else if (performance.now() - oldest.sentAt >= DEADLINE_MS) {
        const reason = `${this.#transport.service} did not bring back a message within ${DEADLINE_MS} ms.`;
        this.#failed(oldest.name, new Error(reason));
      }
    }, DEADLINE_MS / 10).unref();
  }
}

/** The service has taken it: everybody gets it who hears it. */
function settle({ everybody, resolve }: Outstanding, localRecipients: number): void {
  everybody.then((all) => resolve({ scope: all ? "cluster" : "unknown", localRecipients }));
}
