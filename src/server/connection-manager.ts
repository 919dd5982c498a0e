import { memoryBackplane } from "../backplane/memory/memory-backplane.ts";
import type { Connection, Delivery, IncomingMessage } from "../connection/connection.ts";
import { makeInstanceId } from "../connection/connection-id.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import { Sweep } from "../connection/sweep.ts";
import type { WsSocket } from "../connection/ws-socket.ts";
import { type History, HistoryReader } from "../durable/history.ts";
import { Log } from "../events/log.ts";
import { Counters } from "../meters/counters.ts";
import type { Presence } from "../presence/tracker.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { resolveConfig, type WebSocketConfig } from "../protocol/config.ts";
import { checkName } from "../protocol/names.ts";
import type { Message } from "../protocol/payload.ts";
import { attempt, unawaited } from "../protocol/unawaited.ts";
import { Announcer } from "../rooms/announcer.ts";
import { RoomPolicy } from "../rooms/policy.ts";
import { Addresses } from "./addresses.ts";
import { Admission } from "./admission.ts";
import type { ManagerEvents, ManagerStatus } from "./events.ts";
import { HealthReport } from "./health.ts";
import { LocalInstance } from "./instance.ts";
import { type Handlers, Lifecycle } from "./lifecycle.ts";
import { type Limits, resolveLimits } from "./limits.ts";
import { Messenger } from "./messenger.ts";
import {
  type CloseOptions,
  type ConnectionManagerOptions,
  type ConnectionOrId,
  type ConnectOptions,
  checkGrace,
  type DurableSendOptions,
  type Health,
  MANAGER_OPTIONS,
  NO_OPTIONS,
  type SendOptions,
  type Target,
  type Topic,
  warnOfUnused,
} from "./options.ts";
import type { Disconnected } from "./orders/disconnected.ts";
import { Orders } from "./orders/orders.ts";
import { Reporter } from "./reporter.ts";
import type { StopOptions } from "./shutdown.ts";

/**
 * The connections of this instance, grouped by user and room, as a part of the cluster. Delivers messages to one
 * connection, one user, one room or everyone, wherever they are connected: while the backplane is reachable, to
 * one room in one order everywhere; otherwise first in, first out for each sending instance.
 *
 * Sends resolve once the message is queued here. Whatever rejects also reaches the `error` event, so that
 * nobody need await anything.
 */
export class ConnectionManager {
  readonly instanceId: string;
  readonly config: WebSocketConfig;
  readonly limits: Limits;
  /** @internal */
  readonly admission: Admission;
  /** What this instance has done so far. @internal */
  readonly counters: Counters;
  /** Your logger, with `instance` and `pid` in every line. */
  readonly logger: Log;

  readonly #instance: LocalInstance;
  readonly #messenger: Messenger;
  readonly #history: HistoryReader;
  readonly #health: HealthReport;
  readonly #orders: Orders;
  readonly #lifecycle: Lifecycle;
  readonly #reporter: Reporter;
  readonly #sendFailed = (error: unknown): void => this.reportError(error, "send");

  /** Starts nothing. @throws TypeError or RangeError naming the option that is wrong. */
  constructor(options: ConnectionManagerOptions = {}) {
    checkOptions("ConnectionManager", options, MANAGER_OPTIONS);
    this.instanceId = checkName("instance id", options.instanceId ?? makeInstanceId());
    const offlineGraceMs = checkGrace(options.offlineGraceMs);
    this.config = resolveConfig(options.config);
    this.limits = resolveLimits(options.limits, this.config.maxConnectionsPerUser);
    this.logger = new Log(options.logger, this.instanceId);
    const policy = new RoomPolicy(options.rooms, options.broadcast);
    this.counters = new Counters();
    const reporter = new Reporter(this.logger, this.counters);
    this.#reporter = reporter;
    const statusChanged = (): void => reporter.statusChanged(this.status);
    const announcer = new Announcer(policy, (room, announcement) => {
      void this.broadcastToRoom(room, announcement, { persist: false });
    });
    this.#instance = new LocalInstance(
      {
        id: this.instanceId,
        backplane: options.backplane ?? memoryBackplane(),
        policy,
        offlineGraceMs,
        maxRoomsPerConnection: this.limits.maxRoomsPerConnection,
        log: this.logger,
        counters: this.counters,
      },
      {
        left: (connection) => {
          sweep.delete(connection);
          this.admission.left(connection);
        },
        disconnected: (connection, info) => {
          this.admission.closed(connection);
          reporter.disconnected(connection, info);
        },
        changed: (transition) => {
          this.#health.changed();
          reporter.changed(transition);
          announcer.announce(transition);
        },
        statusChanged,
        failed: (error, stage, connection) => reporter.failed(error, stage, connection),
        ordered: (channel, packet) => received.take(channel, packet),
      },
    );
    const { registry, feeds, arrivals } = this.#instance;
    const addresses = new Addresses(this.#instance);
    this.#orders = new Orders(this.#instance, addresses);
    const { kicks, received } = this.#orders;
    this.admission = new Admission(this.#instance, addresses, kicks, this.limits, this.config, {
      accepting: () => this.accepting,
      connected: (connection) => {
        sweep.add(connection);
        reporter.connected(connection);
      },
      failed: (error, stage, connection) => reporter.failed(error, stage, connection),
    });
    this.#messenger = new Messenger(this.#instance, addresses);
    this.#history = new HistoryReader({
      store: this.#instance.history,
      find: (id) => registry.get(id),
      counts: feeds,
      outcomes: arrivals.outcomes,
      failed: (error) => reporter.failed(error, "history"),
    });
    this.#health = new HealthReport(this.#instance);
    const sweep = new Sweep({ ...this.config, ...this.limits }, (error) =>
      reporter.failed(error, "sweep"),
    );
    this.#lifecycle = new Lifecycle(this.#instance, addresses, kicks, sweep, statusChanged);
    if (options.backplane === undefined) warnOfUnused(this.config, this.logger);
  }

  /**
   * Joins the cluster. Connections, rooms and users from before are made known then. Idempotent; rejects once it
   * was stopped.
   */
  start(): Promise<void> {
    return this.#unawaited(this.#lifecycle.start(), "start");
  }

  /**
   * Leaves in good order: not ready any more, a wait for the balancer, no new connections, a goodbye to every
   * client, paced closes, then the handlers' clean-up, and last the backplane. Idempotent.
   * @throws TypeError or RangeError (as a rejection) naming the option that is wrong; nothing is stopped.
   */
  stop(options: StopOptions = {}): Promise<void> {
    return this.#unawaited(this.#lifecycle.stop(options), "stop");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get accepting(): boolean {
    return this.#lifecycle.accepting;
  }

  // Connections

  /**
   * Registers an accepted `ws` socket; one that is not open, or comes when the manager is stopping (1012), is
   * not, and the connection that is returned is closed. `D`: its metadata.
   * @throws TypeError or RangeError if an option is wrong or the socket is registered already.
   */
  connect<D extends object = Record<string, unknown>>(
    socket: WsSocket,
    options: ConnectOptions<D> = {},
  ): Connection<IncomingMessage, D> {
    return this.admission.connect(socket, options);
  }

  /** Closes a connection, on whatever instance it is. Does nothing if there is none. Resolves to what was reached. */
  disconnect(target: ConnectionOrId, options: CloseOptions = {}): Promise<Disconnected> {
    return this.#unawaited(this.#orders.disconnect(target, options), "disconnect");
  }

  /** Closes every connection of a user in the cluster; the user is offline at once. Resolves as `disconnect` does. */
  disconnectUser(userId: string, options: CloseOptions = {}): Promise<Disconnected> {
    return this.#unawaited(this.#orders.disconnectUser(userId, options), "disconnect");
  }

  // Messages

  /** Sends to one connection, on whatever instance. @throws TypeError (as a rejection) if it cannot be encoded. */
  send<T = Message>(connectionId: string, message: T): Promise<Delivery> {
    return this.#sending(() => this.#messenger.toConnection(connectionId, message));
  }

  /** To all connections of a user in the cluster. */
  sendToUser<T = Message>(
    userId: string,
    message: T,
    options: SendOptions = NO_OPTIONS,
  ): Promise<Delivery> {
    return this.#sending(() => this.#messenger.toUser(userId, message, options));
  }

  /**
   * To everyone in the room, or in any of several, once. In a durable room it is stored first: `id` is its position.
   * @throws TypeError (as a rejection) for a message without a form on the wire, and `persist` without a history.
   * @throws BackplaneUnavailableError (as a rejection) if it was to be stored and was not, or nobody knows.
   */
  broadcastToRoom<T = Message>(
    room: string | readonly string[],
    message: T,
    options: DurableSendOptions = NO_OPTIONS,
  ): Promise<Delivery> {
    return this.#sending(() => this.#messenger.toRoom(room, message, options));
  }

  /** Sends to everyone; durable, as `broadcastToRoom` is, if the option `broadcast` has a history. */
  broadcast<T = Message>(message: T, options: DurableSendOptions = NO_OPTIONS): Promise<Delivery> {
    return this.#sending(() => this.#messenger.toAll(message, options));
  }

  /** A room to publish to from anywhere: `topic("alerts").publish(alert)`. */
  topic<T = Message>(name: string): Topic<T> {
    const room = checkName("topic", name);
    return {
      name: room,
      publish: (message, options) => this.broadcastToRoom(room, message, options),
    };
  }

  // Rooms

  /**
   * Brings a connection, or all present and future ones of a user, into a room. Resolves to whether that changed
   * anything, once each instance that holds the target has done it, so that a broadcast reaches them; in 2.5 s at most.
   */
  joinRoom(target: Target, room: string): Promise<boolean> {
    return this.#unawaited(this.#orders.changeRoom("join", target, room), "join");
  }

  /** Takes a connection, or all connections of a user, out of a room. Resolves as `joinRoom` does. */
  leaveRoom(target: Target, room: string): Promise<boolean> {
    return this.#unawaited(this.#orders.changeRoom("leave", target, room), "leave");
  }

  // This instance

  get connectionCount(): number {
    return this.#instance.registry.connections.size;
  }

  get roomCount(): number {
    return this.#instance.registry.rooms.size;
  }

  get activeUsers(): string[] {
    return [...this.#instance.registry.users.keys()];
  }

  get activeRooms(): string[] {
    return [...this.#instance.registry.rooms.keys()];
  }

  connections(): Connection<unknown>[] {
    return [...this.#instance.registry.connections.items];
  }

  roomMembers(room: string): Connection<unknown>[] {
    return [...(this.#instance.registry.rooms.get(room)?.members.items ?? [])];
  }

  roomUsers(room: string): string[] {
    return [...new Set(this.roomMembers(room).flatMap(({ userId }) => userId ?? []))];
  }

  userConnections(userId: string): Connection<unknown>[] {
    return [...(this.#instance.registry.users.get(userId)?.members.items ?? [])];
  }

  isUserConnected(userId: string): boolean {
    return this.#instance.registry.users.has(userId);
  }

  /** Connections of this instance: all, those in a room, or those of a user; 0 where unknown. */
  count(of: { readonly room?: string; readonly user?: string } = {}): number {
    return this.#instance.registry.count(of);
  }

  get presence(): Presence {
    return this.#instance.presence;
  }

  /** The logs of durable rooms. */
  get history(): History {
    return this.#history;
  }

  /** Adds a listener; returns the function that takes it away again. */
  on<K extends keyof ManagerEvents>(
    event: K,
    listener: (...args: ManagerEvents[K]) => unknown,
  ): () => void {
    return this.#reporter.events.on(event, listener);
  }

  get status(): ManagerStatus {
    return this.#lifecycle.status;
  }

  health(): Promise<Health> {
    return this.#unawaited(this.#health.of(this.status), "health");
  }

  stats(): { connections: number; users: string[]; rooms: number } {
    return { connections: this.connectionCount, users: this.activeUsers, rooms: this.roomCount };
  }

  /** @internal */
  get handlers(): Handlers {
    return this.#lifecycle.handlers;
  }

  /** Says that something failed where nobody was waiting for the result. @internal */
  reportError(error: unknown, stage: string, connection?: ServerConnection): void {
    this.#reporter.failed(error, stage, connection);
  }

  #sending(send: () => Promise<Delivery>): Promise<Delivery> {
    return unawaited(attempt(send), this.#sendFailed);
  }

  #unawaited<T>(work: Promise<T>, stage: string): Promise<T> {
    return unawaited(work, (error) => this.reportError(error, stage));
  }
}
