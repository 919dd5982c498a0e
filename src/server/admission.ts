import type { WebSocket } from "ws";
import type { UserLimit } from "../backplane/contract/presence-store.ts";
import type { AnyConnection, Connection, IncomingMessage } from "../connection/connection.ts";
import { checkOwnConnectionId, makeConnectionId } from "../connection/connection-id.ts";
import type { ConnectionBounds, RouteRules } from "../connection/host.ts";
import { ServerConnection } from "../connection/server-connection.ts";
import { isOwned } from "../connection/socket-events.ts";
import type { WsSocket } from "../connection/ws-socket.ts";
import { type Seating, Seats } from "../limits/seats.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import type { WebSocketConfig } from "../protocol/config.ts";
import { checkName } from "../protocol/names.ts";
import { type Renew, Session } from "../v1/session.ts";
import type { Addresses } from "./addresses.ts";
import type { LocalInstance } from "./instance.ts";
import type { Limits } from "./limits.ts";
import type { ConnectOptions } from "./options.ts";
import type { Kicks } from "./orders/kicks.ts";

/** Why a connection over `maxConnectionsPerUser` is closed, with 4008. */
export const TOO_MANY = "Too many connections";

const NO_RULES: RouteRules = { authorize: null, schema: null };

/** What the router knows of a socket beyond what `connect` may be told. */
export interface Admitted {
  /** What the connection will be called: the id its user's place was reserved for. */
  readonly id: string;
  /** What a limit by address counts it with; its seat was taken. */
  readonly addressGroup: string | null;
  readonly rules: RouteRules;
  /** Checks a fresh token; null where there is nothing to renew. */
  readonly renew: Renew | null;
}

/** Who is told what admission does. None may throw. */
export interface AdmissionObserver {
  /** Whether new connections are taken. */
  accepting(): boolean;
  /** A connection was registered. */
  connected(connection: ServerConnection): void;
  failed(error: unknown, stage: string, connection?: ServerConnection): void;
}

/** Makes connections of sockets, within the limits on how many there may be. */
export class Admission {
  readonly #instance: LocalInstance;
  readonly #addresses: Addresses;
  readonly #kicks: Kicks;
  readonly #observer: AdmissionObserver;
  /** Seats that handshakes and connections take, in all and by address. */
  readonly #seats: Seats;
  readonly #bounds: ConnectionBounds;
  readonly #heartbeatMs: number;
  /** How many connections a user may have in the cluster; null: no limit. */
  readonly #userLimit: UserLimit | null;

  constructor(
    instance: LocalInstance,
    addresses: Addresses,
    kicks: Kicks,
    limits: Limits,
    { maxQueueSize, pingIntervalMs }: WebSocketConfig,
    observer: AdmissionObserver,
  ) {
    this.#instance = instance;
    this.#addresses = addresses;
    this.#kicks = kicks;
    this.#observer = observer;
    this.#seats = new Seats(limits.maxConnections, limits.maxConnectionsPerAddress);
    this.#bounds = { ...limits, maxQueueSize };
    this.#heartbeatMs = pingIntervalMs ?? 0;
    const { maxConnectionsPerUser: max, onUserLimit: whenFull } = limits;
    this.#userLimit = max === null ? null : { max, whenFull };
  }

  get accepting(): boolean {
    return this.#observer.accepting();
  }

  // Seats: from the moment somebody knocks until their connection, if they get one, has closed.

  takeSeat(addressGroup: string | null): Seating {
    return this.#seats.take(addressGroup);
  }

  freeSeat(addressGroup: string | null): void {
    this.#seats.free(addressGroup);
  }

  // Places: how many connections a user may have in the whole cluster.

  /**
   * Takes one of the user's places for a connection that is about to be made; it is given back when that
   * ends. Whether there was one; at once where there is no limit.
   */
  reserve(user: string, connection: string): true | Promise<boolean> {
    return this.#userLimit === null || this.#reserve(user, connection, this.#userLimit);
  }

  async #reserve(user: string, connection: string, limit: UserLimit): Promise<boolean> {
    const { presence } = this.#instance.attachment;
    const { granted, replaced } = await presence.reserve(user, connection, limit);
    for (const oldest of replaced) {
      this.#instance.background(this.#kicks.connection(oldest, CloseCode.replaced, "replaced"));
    }
    return granted;
  }

  /** Gives a place back, if the connection has one. */
  unreserve(user: string | undefined, connection: string): void {
    if (user === undefined || this.#userLimit === null) return;
    this.#instance.background(this.#instance.attachment.presence.unreserve(user, connection));
  }

  // Connections

  /** Registers a socket of the application's own; see `ConnectionManager.connect`. */
  connect<D extends object>(
    socket: WsSocket,
    options: ConnectOptions<D>,
  ): Connection<IncomingMessage, D> {
    const connection = this.#connect(socket as WebSocket, options as ConnectOptions);
    // Without a schema, messages are what the client sent; metadata is kept as it was given.
    return connection as AnyConnection as Connection<IncomingMessage, D>;
  }

  #connect(socket: WebSocket, options: ConnectOptions): ServerConnection {
    checkOptions("connect", options, CONNECT_OPTIONS);
    const id = makeConnectionId(this.#instance.id);
    const connection = this.#make(socket, options, {
      id,
      addressGroup: null,
      rules: NO_RULES,
      renew: null,
    });
    if (!this.#register(connection, options)) return connection;
    this.#seats.occupy(null);
    if (connection.userId !== undefined) void this.#reserveFor(connection, connection.userId);
    return connection;
  }

  /** Registers a socket for which the router has taken a seat, and a place if it belongs to a user. */
  admit(
    socket: WebSocket,
    principal: ServerConnection["principal"],
    admitted: Admitted,
  ): ServerConnection {
    const options = principal === null ? {} : { principal };
    const connection = this.#make(socket, options, admitted);
    if (!this.#register(connection, options)) this.#seats.free(admitted.addressGroup);
    return connection;
  }

  /** A connection can be sent nothing more. */
  left(connection: ServerConnection): void {
    this.#addresses.release(connection);
    this.#giveBack(connection);
  }

  /** The socket of a registered connection has closed. */
  closed({ addressGroup }: ServerConnection): void {
    this.#seats.free(addressGroup);
  }

  #make(
    socket: WebSocket,
    options: ConnectOptions,
    { id: made, addressGroup, rules, renew }: Admitted,
  ): ServerConnection {
    if (typeof socket?.readyState !== "number" || typeof socket.on !== "function") {
      throw new TypeError("socket must be a WebSocket of the ws library.");
    }
    if (isOwned(socket)) throw new TypeError("socket is registered already; connect it once.");
    const { id, principal = null, userId = principal?.id, metadata = {}, remoteAddress } = options;
    for (const room of options.rooms ?? []) checkName("room", room);
    const identity = {
      id: id === undefined ? made : checkOwnConnectionId(id),
      userId: userId === undefined ? undefined : checkName("user", userId),
      principal,
      metadata,
      remoteAddress,
      addressGroup,
    };
    const connection = new ServerConnection(this.#instance, socket, identity, this.#bounds, rules);
    if (connection.enveloped) {
      const session = new Session(connection, {
        instance: this.#instance.id,
        heartbeatMs: this.#heartbeatMs,
        receipts: this.#instance.receipts,
        renew,
        ready: (ready) => this.#instance.arrivals.ready(ready),
        reauthorize: (renewed) => this.#reauthorize(renewed),
      });
      connection.speak(session);
      session.welcome();
    }
    return connection;
  }

  /** Whether it is a connection of this instance now; one that is not open, or comes too late, is not. */
  #register(connection: ServerConnection, options: ConnectOptions): boolean {
    if (connection.state !== "open") return false;
    if (!this.accepting) {
      connection.end(CloseCode.serviceRestart, "restarting");
      return false;
    }
    this.#instance.registry.get(connection.id)?.end(CloseCode.replaced, "replaced");
    this.#instance.register(connection);
    this.#addresses.claim(connection);
    for (const room of options.rooms ?? []) {
      this.#instance.join(connection, room).catch((error) => {
        this.#observer.failed(error, "join", connection);
      });
    }
    this.#observer.connected(connection);
    return true;
  }

  async #reserveFor(connection: ServerConnection, userId: string): Promise<void> {
    try {
      const granted = await this.reserve(userId, connection.id);
      // It may have gone meanwhile, and given back what it did not have yet.
      if (connection.state !== "open") this.#giveBack(connection);
      else if (!granted) connection.end(CloseCode.tooManyConnections, TOO_MANY);
    } catch (error) {
      this.#observer.failed(error, "reserve", connection);
    }
  }

  /** Gives the place of a connection back, unless it is by now that of the one which replaced it. */
  #giveBack({ id, userId }: ServerConnection): void {
    if (this.#instance.registry.get(id)?.userId !== userId) this.unreserve(userId, id);
  }

  /** A new credential may allow less than the old: the route is asked again about every room. Never rejects. */
  async #reauthorize(connection: ServerConnection): Promise<void> {
    if (!connection.authorizes) return;
    for (const room of [...connection.rooms]) {
      if (await connection.isAllowed(room)) continue;
      if (!connection.rooms.has(room)) continue;
      connection.forbid(room);
      await this.#instance.leave(connection, room).catch((error) => {
        this.#observer.failed(error, "authorize", connection);
      });
    }
  }
}

const CONNECT_OPTIONS = [
  "id",
  "userId",
  "principal",
  "rooms",
  "metadata",
  "remoteAddress",
] as const;
