import { setImmediate as nextTurn } from "node:timers/promises";
import type { Attachment, Backplane, Instance } from "../backplane/contract/backplane.ts";
import type { BrokerStatus, Channel, MessagePacket, Packet } from "../backplane/contract/broker.ts";
import type { HistoryStore } from "../backplane/contract/history-store.ts";
import type { Transition } from "../backplane/contract/presence-store.ts";
import type { CloseInfo, Delivery } from "../connection/connection.ts";
import type { ConnectionHost } from "../connection/host.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import { Feeds } from "../durable/feeds.ts";
import type { Log } from "../events/log.ts";
import { FanOut } from "../fanout/fan-out.ts";
import { type Counters, countOne } from "../meters/counters.ts";
import { type PresenceObserver, PresenceTracker } from "../presence/tracker.ts";
import { Arrivals } from "../rooms/arrivals.ts";
import { LocalDelivery } from "../rooms/delivery.ts";
import { Membership } from "../rooms/membership.ts";
import type { RoomPolicy } from "../rooms/policy.ts";
import { Registry } from "../rooms/registry.ts";
import { Receipts } from "../v1/receipts.ts";

/** Whom an instance tells what happens to it. None of these may throw. */
export interface InstanceObserver {
  /** A connection can be sent nothing more. */
  left(connection: ServerConnection): void;
  /** Its socket has closed. */
  disconnected(connection: ServerConnection, info: CloseInfo): void;
  changed(transition: Transition): void;
  statusChanged(): void;
  failed(error: unknown, stage: string, connection?: ServerConnection): void;
  /** Another instance, or this one, tells it to do something, or has done it. Answers for how many connections it is. */
  ordered(channel: Channel, packet: Exclude<Packet, MessagePacket>): number;
}

export interface InstanceOptions {
  readonly id: string;
  readonly backplane: Backplane;
  readonly policy: RoomPolicy;
  readonly offlineGraceMs: number;
  readonly maxRoomsPerConnection: number;
  readonly log: Log;
  readonly counters: Counters;
}

/**
 * The connections of this process and their part in the cluster: what the backplane brings is queued to
 * those it is for, and the backplane is told whom this instance holds.
 */
export class LocalInstance implements ConnectionHost<ServerConnection>, Instance, PresenceObserver {
  readonly id: string;
  readonly counters: Counters;
  readonly fanOut: FanOut;
  readonly registry: Registry;
  readonly presence: PresenceTracker;
  readonly receipts: Receipts;
  readonly feeds: Feeds;
  readonly arrivals: Arrivals;
  readonly membership: Membership;
  readonly attachment: Attachment;
  readonly log: Log;

  readonly #delivery: LocalDelivery;
  readonly #observer: InstanceObserver;
  readonly #closing: Set<ServerConnection> = new Set();
  readonly #awaitingEnd: (() => void)[] = [];
  #isStarted = false;

  constructor(options: InstanceOptions, observer: InstanceObserver) {
    this.id = options.id;
    this.log = options.log;
    this.counters = options.counters;
    this.fanOut = new FanOut(options.counters);
    this.#observer = observer;
    this.attachment = options.backplane.attach(this);
    const { presence, history, receipts, broker } = this.attachment;
    this.registry = new Registry(options.policy);
    this.receipts = new Receipts(receipts);
    this.presence = new PresenceTracker(presence, options.offlineGraceMs, this);
    this.feeds = new Feeds(history, (error) => this.report(error, "history"));
    this.arrivals = new Arrivals(this.fanOut, (error) => this.report(error, "resume"));
    this.#delivery = new LocalDelivery(this.registry, this.fanOut, (arrival) =>
      this.arrivals.hurry(arrival),
    );
    this.membership = new Membership({
      registry: this.registry,
      broker,
      presence: this.presence,
      feeds: this.feeds,
      arrivals: this.arrivals,
      delivery: this.#delivery,
      maxRoomsPerConnection: options.maxRoomsPerConnection,
      followed: ({ name }, isFollowed) => {
        this.log.debug({ room: name }, isFollowed ? "room followed" : "room not followed any more");
      },
      failed: (error) => this.report(error, "membership"),
    });
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** "connected" only between `start` and `stop`. */
  get status(): BrokerStatus {
    return this.#isStarted ? this.attachment.broker.status : "degraded";
  }

  get scope(): "cluster" | "instance" {
    return this.status === "connected" ? "cluster" : "instance";
  }

  get history(): HistoryStore {
    return this.attachment.history;
  }

  async start(): Promise<void> {
    await this.attachment.start();
    this.#isStarted = true;
    const { broker } = this.attachment;
    const channels = [...this.registry.users.values()].map(({ channel }) => channel);
    await Promise.all([
      broker.subscribe(`instance:${this.id}`),
      ...channels.map((channel) => broker.subscribe(channel)),
      this.membership.start(),
    ]);
    await this.presence.start();
  }

  async stop(): Promise<void> {
    await this.presence.stop();
    // What others are told of those who left here goes out in the turn after.
    await nextTurn();
    this.#isStarted = false;
    this.membership.stop();
    this.feeds.stop();
    this.receipts.stop();
    await this.attachment.stop();
  }

  // Connections

  /** Adds an open connection. */
  register(connection: ServerConnection): void {
    connection.isRegistered = true;
    this.counters.connections++;
    this.registry.add(connection);
    const { userId, connectedAt, metadata } = connection;
    const { everyone } = this.registry;
    if (connection.enveloped && everyone.rules.history !== null) {
      this.arrivals.join(connection, everyone, this.membership.follow(everyone));
    }
    if (userId === undefined) return;
    // Whoever sees that the user is online can reach them.
    const ready = this.#isStarted ? this.attachment.broker.subscribe(`user:${userId}`) : null;
    this.background(this.presence.connected(userId, { connectedAt, metadata }, ready));
    for (const room of this.presence.roomsAsUser(userId)) {
      this.background(this.join(connection, room));
    }
  }

  join(connection: ServerConnection, room: string): Promise<boolean> {
    return this.membership.join(connection, room);
  }

  leave(connection: ServerConnection, room: string): Promise<boolean> {
    return this.membership.leave(connection, room);
  }

  closing(connection: ServerConnection, dropped: boolean): void {
    if (!this.membership.remove(connection, dropped)) return;
    this.#closing.add(connection);
    this.#observer.left(connection);
  }

  closed(connection: ServerConnection, info: CloseInfo): void {
    // One that was never registered has not disconnected either.
    if (!this.#closing.delete(connection)) return;
    countOne(this.counters.closed, info.code);
    this.#observer.disconnected(connection, info);
    if (this.#closing.size > 0) return;
    for (const resolve of this.#awaitingEnd.splice(0)) resolve();
  }

  /** Those that were closed and whose sockets have not ended yet. */
  get closingConnections(): ReadonlySet<ServerConnection> {
    return this.#closing;
  }

  /** Resolves when no socket that was closed is left. */
  ended(): Promise<void> {
    if (this.#closing.size === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#awaitingEnd.push(resolve));
  }

  failed(error: unknown, stage: string, connection: ServerConnection): void {
    this.#observer.failed(error, stage, connection);
  }

  // Messages

  /** How many instances take a channel; see `Broker`. */
  subscribers(channel: Channel): Promise<number | null> {
    return this.#isStarted ? this.attachment.broker.subscribers(channel) : Promise.resolve(null);
  }

  /** Sends a packet by way of the backplane; before the start and after the stop only to this instance. */
  publish(channel: Channel, packet: Packet): Promise<Delivery> {
    const { broker } = this.attachment;
    if (this.#isStarted) return this.timed(broker.publish(channel, packet));
    return Promise.resolve({
      scope: "instance",
      localRecipients: this.receive(channel, packet),
    });
  }

  /** Measures how long the backplane takes; in memory there is nothing between. */
  timed<T>(publication: Promise<T>): Promise<T> {
    if (this.attachment.kind === "memory") return publication;
    const from = performance.now();
    const done = (): void => {
      this.counters.publishSeconds.observe((performance.now() - from) / 1000);
    };
    void publication.then(done, done);
    return publication;
  }

  /** See `Instance`. */
  receive(channel: Channel, packet: Packet): number {
    try {
      if (packet.type === "message") return this.#receiveMessage(channel, packet);
      return this.#observer.ordered(channel, packet);
    } catch (error) {
      this.report(error, "receive");
      return 0;
    }
  }

  #receiveMessage(channel: Channel, packet: MessagePacket): number {
    if (packet.connection !== undefined) {
      const connection = this.registry.get(packet.connection);
      return connection?.deliver(packet.message).localRecipients ?? 0;
    }
    if (packet.rooms !== undefined) return this.#receiveForRooms(packet, packet.rooms);
    return this.#receiveFor(channel, packet);
  }

  #receiveFor(channel: Channel, packet: MessagePacket): number {
    const group = this.registry.group(channel);
    if (group === undefined) return 0;
    const { feed } = group;
    return feed === null ? this.#delivery.deliver(group, packet) : feed.receive(packet);
  }

  /** In one go, so that nobody comes into a room or leaves it in between. */
  #receiveForRooms(packet: MessagePacket, rooms: readonly string[]): number {
    let recipients = 0;
    for (const room of rooms) recipients += this.#receiveFor(`room:${room}`, packet);
    return recipients;
  }

  // What the backplane and presence tell

  statusChanged(status: BrokerStatus): void {
    if (status === "connected") this.feeds.recovered();
    this.log[status === "connected" ? "info" : "warn"]({ status }, `the backplane is ${status}`);
    this.#observer.statusChanged();
  }

  raise(transition: Transition): void {
    this.#observer.changed(transition);
  }

  roomsAsUser(user: string): Iterable<string> {
    return this.presence.roomsAsUser(user);
  }

  joinedAsUser(user: string, room: string): void {
    for (const connection of [...(this.registry.users.get(user)?.members.items ?? [])]) {
      this.background(this.join(connection, room));
    }
  }

  gone(user: string): void {
    this.attachment.broker.unsubscribe(`user:${user}`);
  }

  report(error: unknown, stage = "presence"): void {
    this.#observer.failed(error, stage);
  }

  /** Work whose result nobody waits for. */
  background(work: Promise<unknown>): void {
    work.catch((error) => this.#observer.failed(error, "membership"));
  }
}
