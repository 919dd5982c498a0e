import { setImmediate as nextTurn } from "node:timers/promises";
import type { Attachment, Backplane, Instance } from "../backplane/contract/backplane.ts";
import type {
  BrokerStatus,
  Channel,
  MembershipPacket,
  MessagePacket,
  Packet,
} from "../backplane/contract/broker.ts";
import type { HistoryPage, LogName } from "../backplane/contract/history-store.ts";
import type { Transition } from "../backplane/contract/presence-store.ts";
import { Registry } from "../connections/registry.ts";
import type { UserLimit } from "../connections/reservations.ts";
import { FanOut } from "../fanout/fan-out.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import { roomOfChannel } from "../protocol/envelope.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import type { Frame } from "../protocol/frame.ts";
import { checkName } from "../protocol/names.ts";
import type { Message } from "../protocol/payload.ts";
import type { ServerFrame } from "../protocol/roomcast-v1.ts";
import type { Delivery } from "./connection.ts";
import { instanceOf } from "./connection-id.ts";
import type { ConnectionHost } from "./connection-terms.ts";
import type { CloseInfo } from "./events.ts";
import { Feeds, type FeedsHost } from "./feeds.ts";
import { type PresenceObserver, PresenceTracker } from "./presence.ts";
import { Receipts } from "./receipts.ts";
import { audienceOf, deliverLocally, membersOf } from "./recipients.ts";
import { Resumer } from "./resumer.ts";
import type { RoomPolicy, RoomRules } from "./room-policy.ts";
import type { ServerConnection } from "./server-connection.ts";

/** Whom an instance tells what happens to it. None of these may throw. */
export interface InstanceObserver {
  disconnected(connection: ServerConnection, info: CloseInfo): void;
  changed(transition: Transition): void;
  statusChanged(status: BrokerStatus): void;
  failed(error: unknown, stage: string): void;
}

export interface InstanceOptions {
  readonly id: string;
  readonly backplane: Backplane;
  readonly policies: RoomPolicy;
  readonly offlineGraceMs: number;
  readonly maxRoomsPerConnection: number;
  /** How many connections a user may have in the cluster; null: no limit. */
  readonly userLimit: UserLimit | null;
}

/**
 * The connections of this process and their part in the cluster: what the backplane brings is queued to
 * those it is for, and the backplane is told whom this instance holds.
 */
export class LocalInstance implements ConnectionHost, Instance, PresenceObserver, FeedsHost {
  readonly id: string;
  readonly registry: Registry<ServerConnection> = new Registry();
  readonly presence: PresenceTracker;
  readonly receipts: Receipts;
  /** The logs of the durable rooms it has members in. */
  readonly feeds: Feeds;
  readonly resumer: Resumer;

  readonly #fanOut: FanOut = new FanOut();
  readonly #attachment: Attachment;
  readonly #observer: InstanceObserver;
  readonly #policies: RoomPolicy;
  readonly #maxRooms: number;
  readonly #userLimit: UserLimit | null;
  /** Connections whose id its caller chose; the others' ids tell where they are. */
  readonly #claimed: WeakSet<ServerConnection> = new WeakSet();
  readonly #departed: WeakSet<ServerConnection> = new WeakSet();
  #started = false;

  constructor(options: InstanceOptions, observer: InstanceObserver) {
    this.id = options.id;
    this.#observer = observer;
    this.#maxRooms = options.maxRoomsPerConnection;
    this.#userLimit = options.userLimit;
    this.#attachment = options.backplane.attach(this);
    this.#policies = options.policies;
    this.receipts = new Receipts(this.#attachment.receipts);
    this.feeds = new Feeds(this.#attachment.history, this);
    this.resumer = new Resumer(this.feeds, this.#fanOut, (error) => this.report(error, "resume"));
    this.presence = new PresenceTracker(this.#attachment.presence, options.offlineGraceMs, this);
  }

  /** What the cluster runs on. */
  get backplane(): string {
    return this.#attachment.kind;
  }

  /** "connected" only between `start` and `stop`. */
  get status(): BrokerStatus {
    return this.#started ? this.#attachment.broker.status : "degraded";
  }

  async start(): Promise<void> {
    await this.#attachment.start();
    this.#started = true;
    const { broker } = this.#attachment;
    await Promise.all([
      this.#follow("broadcast"),
      broker.subscribe(`instance:${this.id}`),
      ...this.registry.users.map((user) => broker.subscribe(`user:${user}`)),
      ...this.registry.rooms.map((room) => this.#follow(`room:${room}`)),
    ]);
    await this.presence.start();
    for (const connection of this.registry.connections.items) this.#claim(connection);
  }

  async stop(): Promise<void> {
    await this.presence.stop();
    // What others are told of those who left here goes out in the turn after.
    await nextTurn();
    this.#started = false;
    this.feeds.stop();
    await this.#attachment.stop();
  }

  // Connections

  /**
   * Takes one of the user's places for a connection that is about to be made; it is given back when that
   * ends. Whether there was one.
   */
  async reserve(user: string, connection: string): Promise<boolean> {
    if (this.#userLimit === null) return true;
    const { presence } = this.#attachment;
    const { granted, replaced } = await presence.reserve(user, connection, this.#userLimit);
    for (const oldest of replaced) {
      this.#background(this.disconnect(oldest, CloseCode.replaced, "replaced"));
    }
    return granted;
  }

  /** Gives a place back, if the connection has one. */
  unreserve(user: string, connection: string): void {
    if (this.#userLimit === null) return;
    this.#background(this.#attachment.presence.unreserve(user, connection));
  }

  /** Closes a connection, on whatever instance it is. */
  async disconnect(id: string, code: number, reason: string): Promise<void> {
    const local = this.registry.get(id);
    if (local !== undefined) local.close(code, reason);
    else await this.publishTo(id, { type: "disconnect", code, reason, connection: id });
  }

  /** Adds an open connection; one of the same id, wherever it is, is replaced. */
  register(connection: ServerConnection, chosenId: boolean): void {
    this.registry.get(connection.id)?.end(CloseCode.replaced, "replaced");
    this.registry.add(connection);
    if (chosenId) {
      this.#claimed.add(connection);
      if (this.#started) this.#claim(connection);
    }
    connection.welcome(this.id);
    if (connection.session !== null && this.#policies.ofLog("broadcast").history !== null) {
      this.resumer.join(connection, "broadcast", this.#follow("broadcast"));
    }
    const { userId, connectedAt, metadata } = connection;
    if (userId === undefined) return;
    // Whoever sees that the user is online can reach them.
    const subscribed = this.#subscribe(`user:${userId}`);
    this.#background(this.presence.connected(userId, { connectedAt, metadata }, subscribed));
    for (const room of this.presence.roomsAsUser(userId)) {
      this.#background(this.join(connection, room));
    }
  }

  /** Resolves to whether it was not in the room before, once messages to the room will arrive. */
  async join(connection: ServerConnection, room: string): Promise<boolean> {
    checkName("room", room);
    if (connection.rooms.size >= this.#maxRooms && !connection.rooms.has(room)) {
      throw new RangeError(`A connection may be in ${this.#maxRooms} rooms; this one is already.`);
    }
    const joined = this.registry.join(connection, room);
    const subscribed = this.#follow(`room:${room}`);
    if (joined && connection.session !== null) {
      this.resumer.join(connection, `room:${room}`, subscribed);
    }
    const { userId } = connection;
    if (joined && userId !== undefined) await this.presence.joined(room, userId, subscribed);
    else await subscribed;
    return joined;
  }

  async leave(connection: ServerConnection, room: string): Promise<boolean> {
    checkName("room", room);
    if (!this.registry.leave(connection, room)) return false;
    if (connection.session !== null) {
      this.resumer.leave(connection, `room:${room}`);
      connection.tell({ type: "left", room });
    }
    await this.#left(connection, room, false);
    return true;
  }

  closing(connection: ServerConnection, _info: CloseInfo, dropped: boolean): void {
    if (!this.registry.remove(connection)) return;
    this.#departed.add(connection);
    if (connection.session !== null) this.resumer.gone(connection);
    for (const room of connection.rooms) this.#background(this.#left(connection, room, dropped));
    if (connection.userId !== undefined) {
      this.#background(this.presence.disconnected(connection.userId, dropped));
      this.unreserve(connection.userId, connection.id);
    }
    if (this.#claimed.has(connection) && this.#started) {
      this.#background(this.#attachment.presence.release(connection.id));
    }
  }

  closed(connection: ServerConnection, info: CloseInfo): void {
    // One that was never registered (it came too late) has not disconnected either.
    if (this.#departed.has(connection)) this.#observer.disconnected(connection, info);
  }

  // Messages

  /** Sends a packet by way of the backplane; before the start and after the stop only to this instance. */
  async publish(channel: Channel, packet: Packet): Promise<Delivery> {
    if (this.#started) return this.#attachment.broker.publish(channel, packet);
    return { scope: "instance", localRecipients: this.receive(channel, packet) };
  }

  /** Stores a message in a log and sends it to everyone the log is for. */
  async publishDurable(
    log: LogName,
    packet: MessagePacket,
    rules: RoomRules,
    idempotencyKey: string | null,
  ): Promise<Delivery> {
    try {
      if (rules.history !== null && this.#started) {
        return await this.#attachment.history.append(log, packet, rules.history, idempotencyKey);
      }
      throw new BackplaneUnavailableError("The manager is not running.", "not-stored");
    } catch (error) {
      const notStored =
        error instanceof BackplaneUnavailableError && error.outcome === "not-stored";
      if (!notStored || rules.whenUnavailable !== "ephemeral") throw error;
      return this.publish(log, packet);
    }
  }

  readHistory(log: LogName, since: string, limit: number): Promise<HistoryPage> {
    return this.#attachment.history.read(log, since, limit);
  }

  /** Sends to the instance that holds a connection. */
  async publishTo(connectionId: string, packet: Packet): Promise<Delivery> {
    const instance = await this.#holderOf(connectionId);
    if (instance === null) return { scope: this.#scope(), localRecipients: 0 };
    // There may be such a connection elsewhere, but nothing was published.
    if (instance === undefined) return { scope: "instance", localRecipients: 0 };
    return this.publish(`instance:${instance}`, packet);
  }

  async sendTo(connection: ServerConnection, message: Message): Promise<Delivery> {
    return this.deliverTo(connection, EncodedMessage.from(message));
  }

  deliverTo(connection: ServerConnection, message: EncodedMessage): Delivery {
    const open = this.registry.connections.has(connection);
    if (open) {
      const frame = connection.enveloped ? message.enveloped(null, null) : message.plain;
      this.#fanOut.deliver(frame, connection);
    }
    return { scope: this.#scope(), localRecipients: open ? 1 : 0 };
  }

  /** See `ConnectionHost`. */
  tell(connection: ServerConnection, frame: ServerFrame): void {
    this.deliverFrame(connection, EncodedMessage.from(frame).plain);
  }

  /** Queues a frame as it is. */
  deliverFrame(connection: ServerConnection, frame: Frame): void {
    this.#fanOut.deliver(frame, connection);
  }

  /** See `ConnectionHost`. */
  ready(connection: ServerConnection): void {
    this.resumer.ready(connection);
  }

  /** See `Instance`. */
  receive(channel: Channel, packet: Packet): number {
    const members = this.#membersFor(channel, packet);
    switch (packet.type) {
      case "message":
        return this.#receiveMessage(channel, packet);
      case "disconnect":
        for (const connection of members) connection.close(packet.code, packet.reason);
        if (channel.startsWith("user:")) {
          this.#background(this.presence.release(channel.slice("user:".length)));
        }
        return members.length;
      default:
        return this.#receiveMembership(channel, packet, members);
    }
  }

  // What feeds bring

  /** Queues a message to everyone a channel is for. */
  deliver(channel: Channel, packet: MessagePacket): number {
    return deliverLocally(this.registry, this.#fanOut, this.resumer, channel, packet);
  }

  audience(channel: Channel, packet: MessagePacket): number {
    return audienceOf(this.registry, channel, packet);
  }

  unfollowed(log: LogName): void {
    this.#attachment.broker.unsubscribe(log);
  }

  gap(log: LogName): void {
    const frame = EncodedMessage.from({ type: "gap", room: roomOfChannel(log) }).plain;
    const joining = this.resumer.joining(log);
    for (const member of membersOf(this.registry, log).items) {
      if (member.enveloped && joining?.has(member) !== true) this.#fanOut.deliver(frame, member);
    }
  }

  // What the backplane and presence tell

  statusChanged(status: BrokerStatus): void {
    if (status === "connected") this.feeds.recovered();
    this.#observer.statusChanged(status);
  }

  raise(transition: Transition): void {
    this.#observer.changed(transition);
  }

  roomsAsUser(user: string): Iterable<string> {
    return this.presence.roomsAsUser(user);
  }

  joinedAsUser(user: string, room: string): void {
    for (const connection of this.registry.ofUser(user).items) {
      this.#background(this.join(connection, room));
    }
  }

  gone(user: string): void {
    this.#attachment.broker.unsubscribe(`user:${user}`);
  }

  report(error: unknown, stage = "presence"): void {
    this.#observer.failed(error, stage);
  }

  /** Brings a user into a room as a user, or takes them out. Whether that changed anything. */
  async changeAsUser(type: "join" | "leave", user: string, room: string): Promise<boolean> {
    const { presence } = this.#attachment;
    const { changed, version } = this.#started
      ? await (type === "join" ? presence.joinAsUser(user, room) : presence.leaveAsUser(user, room))
      : { changed: this.registry.ofUser(user).size > 0, version: 0 };
    const { localRecipients } = await this.publish(`user:${user}`, { type, room, version });
    return changed || (type === "leave" && localRecipients > 0);
  }

  /** Asks the instance that holds a connection to change its rooms. Whether there is one. */
  async askTo(type: "join" | "leave", connectionId: string, room: string): Promise<boolean> {
    const instance = await this.#holderOf(connectionId);
    if (instance === null || instance === undefined) return false;
    await this.publish(`instance:${instance}`, { type, room, connection: connectionId });
    return true;
  }

  #receiveMessage(channel: Channel, packet: MessagePacket): number {
    if (packet.connection === undefined) {
      const feed = this.feeds.get(channel);
      return feed === undefined ? this.deliver(channel, packet) : feed.receive(packet);
    }
    const connection = this.registry.get(packet.connection);
    if (connection === undefined) return 0;
    return this.deliverTo(connection, packet.message).localRecipients;
  }

  /** A copy: handling a packet changes whom the instance holds. */
  #membersFor(channel: Channel, packet: Packet): readonly ServerConnection[] {
    if (packet.type === "message") return [];
    if (packet.connection === undefined) return [...membersOf(this.registry, channel).items];
    const connection = this.registry.get(packet.connection);
    return connection === undefined ? [] : [connection];
  }

  /** Answers how many connections came into the room or left it. */
  #receiveMembership(
    channel: Channel,
    { type, room, version = 0 }: MembershipPacket,
    members: readonly ServerConnection[],
  ): number {
    if (channel.startsWith("user:")) {
      const user = channel.slice("user:".length);
      if (!this.presence.noteAsUser(user, room, type === "join", version)) return 0;
    }
    const isIn = this.registry.inRoom(room);
    const affected = members.filter((member) => isIn.has(member) === (type === "leave"));
    for (const connection of affected) this.#background(this[type](connection, room));
    return affected.length;
  }

  async #left(connection: ServerConnection, room: string, dropped: boolean): Promise<void> {
    if (this.registry.inRoom(room).size === 0) {
      this.feeds.close(`room:${room}`);
      this.#attachment.broker.unsubscribe(`room:${room}`);
    }
    if (connection.userId !== undefined) {
      await this.presence.left(room, connection.userId, dropped);
    }
  }

  /** The other instance that holds, or held, a connection; undefined while nobody can tell. */
  async #holderOf(connectionId: string): Promise<string | null | undefined> {
    const holder = instanceOf(connectionId) ?? (await this.#locate(connectionId));
    return holder === this.id ? null : holder;
  }

  async #locate(connectionId: string): Promise<string | null | undefined> {
    try {
      return await this.#attachment.presence.locate(connectionId);
    } catch (error) {
      if (error instanceof BackplaneUnavailableError) return undefined;
      throw error;
    }
  }

  #claim(connection: ServerConnection): void {
    if (!this.#claimed.has(connection)) return;
    const replace = async (): Promise<void> => {
      const holder = await this.#attachment.presence.claim(connection.id);
      if (holder === null) return;
      const { replaced: code } = CloseCode;
      const packet = { type: "disconnect", code, reason: "replaced" } as const;
      await this.publish(`instance:${holder}`, { ...packet, connection: connection.id });
    };
    this.#background(replace());
  }

  /** Resolves when everything sent to a room, or to everyone, arrives from now on. */
  async #follow(log: LogName): Promise<void> {
    const { history } = this.#policies.ofLog(log);
    if (history === null) await this.#subscribe(log);
    else if (this.#started) await this.feeds.open(log, history);
  }

  async #subscribe(channel: Channel): Promise<void> {
    if (this.#started) await this.#attachment.broker.subscribe(channel);
  }

  #scope(): "cluster" | "instance" {
    return this.status === "connected" ? "cluster" : "instance";
  }

  #background(work: Promise<unknown>): void {
    work.catch((error) => this.#observer.failed(error, "membership"));
  }
}
