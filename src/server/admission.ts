import type { WebSocket } from "ws";
import { checkOwnConnectionId, makeConnectionId } from "../connection/connection-id.ts";
import type { ConnectionBounds, RouteTerms } from "../connection/connection-terms.ts";
import { seat } from "../connection/seating.ts";
import { ServerConnection } from "../connection/server-connection.ts";
import { connectionOf } from "../connection/socket-events.ts";
import { Seats } from "../limits/seats.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import type { WebSocketConfig } from "../protocol/config.ts";
import { checkName } from "../protocol/names.ts";
import type { LocalInstance } from "./instance.ts";
import type { Limits } from "./limits.ts";
import type { ConnectOptions } from "./options.ts";

/** What the registrar needs from its manager. None of these may throw. */
export interface RegistrarHost {
  /** Whether new connections are taken. */
  accepting(): boolean;
  /** A connection was registered. */
  registered(connection: ServerConnection): void;
  failed(error: unknown, stage: string): void;
}

/** Why a connection over `maxConnectionsPerUser` is closed, with 4008. */
export const TOO_MANY = "Too many connections";

const NO_TERMS: RouteTerms = { authorize: null, schema: null, renew: null };

/** Makes connections of sockets, within the limits on how many there may be. */
export class Registrar {
  /** The seats that handshakes and connections take. */
  readonly seats: Seats;
  readonly #instance: LocalInstance;
  readonly #bounds: ConnectionBounds;
  readonly #host: RegistrarHost;

  constructor(
    instance: LocalInstance,
    limits: Limits,
    { maxQueueSize, pingIntervalMs }: WebSocketConfig,
    host: RegistrarHost,
  ) {
    this.#instance = instance;
    this.#bounds = { ...limits, maxQueueSize, heartbeatMs: pingIntervalMs ?? 0 };
    this.#host = host;
    this.seats = new Seats(limits.maxConnections, limits.maxConnectionsPerAddress);
  }

  /** Registers a socket of the application's own; see `ConnectionManager.connect`. */
  connect(socket: WebSocket, options: ConnectOptions): ServerConnection {
    const connection = this.register(socket, options, NO_TERMS, null);
    if (connection.state !== "open") return connection;
    this.seats.occupy(null);
    seat(socket, this.seats, null);
    if (connection.userId !== undefined) void this.#reserveFor(connection, connection.userId);
    return connection;
  }

  /** Registers a socket for which the router has taken a seat, and a place if it belongs to a user. */
  register(
    socket: WebSocket,
    options: ConnectOptions,
    terms: RouteTerms,
    reservedId: string | null,
  ): ServerConnection {
    const rooms = [...(options.rooms ?? [])].map((room) => checkName("room", room));
    const connection = this.#makeConnection(socket, options, terms, reservedId);
    if (connection.state !== "open") return connection;
    if (!this.#host.accepting()) {
      connection.end(CloseCode.serviceRestart, "restarting");
      return connection;
    }
    this.#instance.register(connection, options.id !== undefined);
    for (const room of rooms) {
      this.#instance.join(connection, room).catch((error) => this.#host.failed(error, "join"));
    }
    this.#host.registered(connection);
    return connection;
  }

  /**
   * Takes one of the places a user has in the cluster for a connection that is about to be made; it is
   * given back when that ends. Whether there was one.
   */
  reserve(userId: string, connectionId: string): Promise<boolean> {
    return this.#instance.reserve(userId, connectionId);
  }

  /** Gives a place back for which no connection was made. */
  unreserve(userId: string | undefined, connectionId: string): void {
    if (userId !== undefined) this.#instance.unreserve(userId, connectionId);
  }

  async #reserveFor(connection: ServerConnection, userId: string): Promise<void> {
    try {
      if (await this.reserve(userId, connection.id)) return;
      connection.end(CloseCode.tooManyConnections, TOO_MANY);
    } catch (error) {
      this.#host.failed(error, "reserve");
    }
  }

  #makeConnection(
    socket: WebSocket,
    options: ConnectOptions,
    terms: RouteTerms,
    reservedId: string | null,
  ): ServerConnection {
    if (typeof socket?.readyState !== "number" || typeof socket.on !== "function") {
      throw new TypeError("socket must be a WebSocket of the ws library.");
    }
    if (connectionOf(socket) !== undefined) {
      throw new TypeError("socket is registered already; connect it once.");
    }
    const { id, principal = null, userId = principal?.id, metadata = {} } = options;
    const made = reservedId ?? makeConnectionId(this.#instance.id);
    const identity = {
      id: id === undefined ? made : checkOwnConnectionId(id),
      userId: userId === undefined ? undefined : checkName("user", userId),
      principal,
      metadata,
    };
    return new ServerConnection(this.#instance, socket, identity, this.#bounds, terms);
  }
}
