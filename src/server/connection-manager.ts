import { setTimeout as wait } from "node:timers/promises";
import type { WebSocket } from "ws";
import type { Transition } from "../backplane/contract/presence-store.ts";
import { memoryBackplane } from "../backplane/memory/memory-backplane.ts";
import { Listeners } from "../events/listeners.ts";
import { CloseCode, checkClose } from "../protocol/close-codes.ts";
import { resolveConfig, type WebSocketConfig } from "../protocol/config.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import { checkName } from "../protocol/names.ts";
import type { Message } from "../protocol/payload.ts";
import type { Connection, Delivery, IncomingMessage } from "./connection.ts";
import { makeInstanceId } from "./connection-id.ts";
import { Deadlines } from "./deadlines.ts";
import type { ManagerEvents, ManagerStatus } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import { type History, HistoryReader } from "./history.ts";
import { type Limits, resolveLimits } from "./limits.ts";
import { LocalInstance } from "./local-instance.ts";
import { type Logger, SILENT } from "./logger.ts";
import type {
  CloseOptions,
  ConnectionManagerOptions,
  ConnectOptions,
  DurableSendOptions,
  Health,
  SendOptions,
  Target,
  Topic,
} from "./manager-options.ts";
import { Messenger } from "./messenger.ts";
import type { Presence } from "./presence.ts";
import { Registrar } from "./registrar.ts";
import { RoomPolicy } from "./room-policy.ts";
import type { ServerConnection } from "./server-connection.ts";
import { before, closeAll, type Goodbye, resolveGoodbye, type StopOptions } from "./shutdown.ts";

/** How long a user who dropped stays online, in milliseconds. */
const OFFLINE_GRACE_MS = 10_000;

/**
 * The connections of this instance, grouped by user and room, as a part of the cluster. Delivers
 * messages to one connection, one user, one room or everyone, wherever they are connected.
 *
 * While the backplane is reachable, messages to one room arrive in one order, the same on every
 * instance and every connection; otherwise first in, first out for each sending instance.
 *
 * Every send resolves once the message is queued here. One that fails rejects, and its failure also
 * reaches the `error` event, so that nobody need await it.
 */
export class ConnectionManager {
  readonly instanceId: string;
  readonly config: WebSocketConfig;
  readonly limits: Limits;
  readonly logger: Logger;

  readonly #instance: LocalInstance;
  readonly #messenger: Messenger;
  readonly #history: HistoryReader;
  readonly #policies: RoomPolicy;
  readonly #heartbeat: Heartbeat | null;
  readonly #deadlines: Deadlines;
  readonly #registrar: Registrar;
  readonly #events: Listeners<ManagerEvents>;
  /** Handlers, which a stop waits for. */
  readonly #handlers: Set<Promise<unknown>> = new Set();
  #phase: "new" | "running" | "draining" | "stopped" = "new";
  #starting: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;

  /** Starts nothing. @throws TypeError or RangeError naming the option that is wrong. */
  constructor(options: ConnectionManagerOptions = {}) {
    const { instanceId: id = makeInstanceId(), offlineGraceMs = OFFLINE_GRACE_MS } = options;
    this.instanceId = checkName("instance id", id);
    if (!(offlineGraceMs >= 0)) {
      throw new RangeError(`offlineGraceMs must be 0 or more, not ${offlineGraceMs}.`);
    }
    this.config = resolveConfig(options.config);
    this.limits = resolveLimits(options.limits, this.config.maxConnectionsPerUser);
    const { maxConnectionsPerUser, maxRoomsPerConnection, onUserLimit } = this.limits;
    this.logger = options.logger ?? SILENT;
    this.#policies = new RoomPolicy(options.rooms, options.broadcast);
    this.#events = new Listeners((error, event) => this.#listenerFailed(error, event));
    this.#instance = new LocalInstance(
      {
        id: this.instanceId,
        backplane: options.backplane ?? memoryBackplane(),
        policies: this.#policies,
        offlineGraceMs,
        maxRoomsPerConnection,
        userLimit:
          maxConnectionsPerUser === null
            ? null
            : { max: maxConnectionsPerUser, whenFull: onUserLimit },
      },
      {
        disconnected: (connection, info) => this.#events.emit("disconnect", connection, info),
        changed: (transition) => this.#changed(transition),
        statusChanged: () => this.#events.emit("status", { status: this.status }),
        failed: (error, stage) => this.reportError(error, stage),
      },
    );
    this.#registrar = new Registrar(this.#instance, this.limits, this.config, {
      accepting: () => this.accepting,
      registered: (connection) => this.#registered(connection),
      failed: (error, stage) => this.reportError(error, stage),
    });
    this.#messenger = new Messenger(this.#instance, this.#policies);
    this.#history = new HistoryReader(this.#instance);
    const { pingIntervalMs, pingTimeoutMs } = this.config;
    this.#heartbeat =
      pingIntervalMs === null
        ? null
        : new Heartbeat(pingIntervalMs, pingTimeoutMs, () => this.#registry.connections.items);
    this.#deadlines = new Deadlines(this.limits, () => this.#registry.connections.items);
  }

  // Life

  /** Joins the cluster. Connections, rooms and users from before are made known then. Idempotent. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Leaves in good order: not ready any more, a wait for the balancer, no new connections, a goodbye to
   * every client, paced closes, then the handlers' clean-up, and last the backplane. Idempotent.
   *
   * @throws TypeError or RangeError (as a rejection) naming the option that is wrong; nothing is stopped.
   */
  stop(options: StopOptions = {}): Promise<void> {
    if (this.#stopping !== null) return this.#stopping;
    try {
      this.#stopping = this.#stop(resolveGoodbye(options));
      return this.#stopping;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Whether new connections are taken. */
  get accepting(): boolean {
    return this.#phase === "new" || this.#phase === "running";
  }

  // Connections

  /**
   * Registers an accepted `ws` socket. A socket that is no longer open is not registered, nor is any
   * once the manager is stopping (1012); the connection that is returned is closed then.
   *
   * @throws TypeError or RangeError if an option is wrong or the socket is registered already.
   */
  connect(socket: WebSocket, options: ConnectOptions = {}): Connection {
    // Without a schema, messages are what the client sent.
    return this.#registrar.connect(socket, options) as Connection<IncomingMessage>;
  }

  /** Closes a connection, on whatever instance it is. Does nothing if there is none. */
  async disconnect(
    target: Connection<unknown> | string,
    { code = CloseCode.normal, reason = "" }: CloseOptions = {},
  ): Promise<void> {
    checkClose(code, reason);
    await this.#instance.disconnect(typeof target === "string" ? target : target.id, code, reason);
  }

  /** Closes every connection of a user in the cluster; the user is offline at once. */
  async disconnectUser(
    userId: string,
    { code = CloseCode.normal, reason = "" }: CloseOptions = {},
  ): Promise<void> {
    checkClose(code, reason);
    const channel = `user:${checkName("user", userId)}` as const;
    await this.#instance.publish(channel, { type: "disconnect", code, reason });
  }

  // Messages

  /**
   * Sends to one connection, on whatever instance it is.
   *
   * @throws TypeError (as a rejection) if the message cannot be encoded, before anybody is sent anything.
   */
  send(connectionId: string, message: Message): Promise<Delivery> {
    return this.#unawaited(this.#messenger.toConnection(connectionId, message), "send");
  }

  /** Sends to all connections of a user in the cluster. */
  sendToUser(userId: string, message: Message, options: SendOptions = {}): Promise<Delivery> {
    return this.#unawaited(this.#messenger.toUser(userId, message, options), "send");
  }

  /**
   * Sends to everyone in the room. In a durable room the message is stored first, and `id` is its
   * position.
   *
   * @throws TypeError (as a rejection) if the message cannot be encoded, or `persist` is true in a room
   *   whose policy has no history.
   * @throws BackplaneUnavailableError (as a rejection) if it was to be stored and was not, or nobody knows.
   */
  broadcastToRoom(
    room: string,
    message: Message,
    options: DurableSendOptions = {},
  ): Promise<Delivery> {
    return this.#unawaited(this.#messenger.toRoom(room, message, options), "send");
  }

  /** Sends to everyone; durable, as `broadcastToRoom` is, if the option `broadcast` has a history. */
  broadcast(message: Message, options: DurableSendOptions = {}): Promise<Delivery> {
    return this.#unawaited(this.#messenger.toAll(message, options), "send");
  }

  /** A room to publish to from anywhere: `topic("alerts").publish(alert)`. */
  topic(name: string): Topic {
    const room = checkName("topic", name);
    return {
      name: room,
      publish: (message, options) => this.broadcastToRoom(room, message, options),
    };
  }

  // Rooms

  /**
   * Brings a connection, or all present and future connections of a user, into a room. Resolves to
   * whether that changed anything (for a connection of another instance: whether it was asked to).
   */
  async joinRoom(target: Target, room: string): Promise<boolean> {
    return this.#changeMembership("join", target, checkName("room", room));
  }

  /** Takes a connection, or all connections of a user, out of a room. Resolves as `joinRoom` does. */
  async leaveRoom(target: Target, room: string): Promise<boolean> {
    return this.#changeMembership("leave", target, checkName("room", room));
  }

  // This instance

  get connectionCount(): number {
    return this.#registry.connections.size;
  }

  get roomCount(): number {
    return this.#registry.roomCount;
  }

  get activeUsers(): string[] {
    return this.#registry.users;
  }

  get activeRooms(): string[] {
    return this.#registry.rooms;
  }

  connections(): Connection<unknown>[] {
    return [...this.#registry.connections.items];
  }

  roomMembers(room: string): Connection<unknown>[] {
    return [...this.#registry.inRoom(room).items];
  }

  roomUsers(room: string): string[] {
    const users = new Set<string>();
    for (const { userId } of this.#registry.inRoom(room).items) {
      if (userId !== undefined) users.add(userId);
    }
    return [...users];
  }

  userConnections(userId: string): Connection<unknown>[] {
    return [...this.#registry.ofUser(userId).items];
  }

  isUserConnected(userId: string): boolean {
    return this.#registry.ofUser(userId).size > 0;
  }

  /** Connections of this instance: all, those in a room, or those of a user; 0 where unknown. */
  count(of: { readonly room?: string; readonly user?: string } = {}): number {
    if (of.room !== undefined) return this.#registry.inRoom(of.room).size;
    if (of.user !== undefined) return this.#registry.ofUser(of.user).size;
    return this.#registry.connections.size;
  }

  // The cluster

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
    return this.#events.on(event, listener);
  }

  get status(): ManagerStatus {
    if (this.#phase === "draining" || this.#phase === "stopped") return "draining";
    return this.#instance.status === "connected" ? "healthy" : "degraded";
  }

  async health(): Promise<Health> {
    return {
      status: this.status,
      instance_id: this.instanceId,
      local_connections: this.#registry.connections.size,
      local_users: this.#registry.userCount,
      local_rooms: this.#registry.roomCount,
      global_online_users: await this.#onlineCount(),
      redis_connected:
        this.#instance.backplane === "redis" && this.#instance.status === "connected",
    };
  }

  stats(): { connections: number; users: string[]; rooms: number } {
    return {
      connections: this.#registry.connections.size,
      users: this.#registry.users,
      rooms: this.#registry.roomCount,
    };
  }

  /** Makes connections of the sockets a router brings. @internal */
  get registrar(): Registrar {
    return this.#registrar;
  }

  /** Makes a stop wait for `handler`, which MUST NOT reject. @internal */
  track(handler: Promise<unknown>): void {
    this.#handlers.add(handler);
    handler.then(() => this.#handlers.delete(handler));
  }

  /** Says that something failed where nobody was waiting for the result. @internal */
  reportError(error: unknown, stage: string): void {
    if (this.#events.emit("error", error, { stage })) return;
    this.logger.error({ err: error, stage, instance: this.instanceId }, "unhandled error");
  }

  get #registry(): LocalInstance["registry"] {
    return this.#instance.registry;
  }

  /** Those of this instance while the backplane is away: they are all it can be sure of. */
  async #onlineCount(): Promise<number> {
    try {
      return await this.#instance.presence.onlineCount();
    } catch (error) {
      if (!(error instanceof BackplaneUnavailableError)) throw error;
      return this.#registry.userCount;
    }
  }

  async #start(): Promise<void> {
    if (!this.accepting) return;
    await this.#instance.start();
    if (this.#phase === "new") this.#phase = "running";
    this.#events.emit("status", { status: this.status });
  }

  async #stop(goodbye: Goodbye): Promise<void> {
    await this.#starting?.catch(() => {});
    this.#phase = "draining";
    this.#events.emit("status", { status: this.status });
    await wait(goodbye.readinessDelayMs);
    const deadline = performance.now() + goodbye.drainMs;
    const instance = this.#instance;
    await closeAll(
      () => instance.registry.connections.items,
      goodbye,
      (connection, message) => instance.deliverTo(connection, message),
    );
    await before(deadline, Promise.all(this.#handlers));
    this.#heartbeat?.stop();
    this.#deadlines.stop();
    await this.#instance.stop();
    this.#phase = "stopped";
  }

  #registered(connection: ServerConnection): void {
    this.#heartbeat?.start();
    this.#deadlines.start();
    this.#events.emit("connect", connection);
  }

  async #changeMembership(type: "join" | "leave", target: Target, room: string): Promise<boolean> {
    if (typeof target === "object" && !("id" in target)) {
      return this.#instance.changeAsUser(type, checkName("user", target.userId), room);
    }
    const id = checkName("connection id", typeof target === "string" ? target : target.id);
    const local = this.#registry.get(id);
    if (local !== undefined) return this.#instance[type](local, room);
    return this.#instance.askTo(type, id, room);
  }

  #changed(transition: Transition): void {
    const { type, user, room } = transition;
    if (type === "online" || type === "offline") this.#events.emit(type, { user });
    else if (room !== undefined) {
      this.#events.emit(type, { user, room });
      this.#announce(type, user, room);
    }
  }

  /** Tells the room who came or went, where its policy says so. */
  #announce(type: "join" | "leave", user: string, room: string): void {
    if (!this.#policies.of(room).announce) return;
    const announcement = {
      type: type === "join" ? "user_joined" : "user_left",
      user_id: user,
      room,
    };
    // In the next turn, so that an answer to the join itself comes first.
    setImmediate(() => void this.broadcastToRoom(room, announcement, { persist: false }));
  }

  /** A promise that nobody needs to await: its failure reaches the `error` event too. */
  #unawaited<T>(work: Promise<T>, stage: string): Promise<T> {
    work.catch((error) => this.reportError(error, stage));
    return work;
  }

  #listenerFailed(error: unknown, event: keyof ManagerEvents): void {
    // A failing listener of errors must not be told of its own failure.
    if (event !== "error") this.reportError(error, `listener:${event}`);
    else this.logger.error({ err: error, instance: this.instanceId }, "an error listener failed");
  }
}
