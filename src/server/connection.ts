import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { Inbox } from "../connections/inbox.ts";
import { Outbox } from "../fanout/outbox.ts";
import type { Sequence } from "../fanout/sequence.ts";
import { StreamWriter, type Writer } from "../fanout/writer.ts";
import { CloseCode, checkClose } from "../protocol/close-codes.ts";
import { ConnectionClosedError } from "../protocol/errors.ts";
import type { Message } from "../protocol/payload.ts";
import type { CloseInfo } from "./events.ts";
import { ForeignWriter } from "./foreign-writer.ts";
import { JsonGate } from "./json-gate.ts";
import { ServerSocket, type SocketOwner } from "./server-socket.ts";

export type ConnectionState = "connecting" | "open" | "closing" | "closed";

/** What a client sent: text as a string, binary as bytes. */
export type IncomingMessage = string | Uint8Array;

/** How far a send got; see `ConnectionManager`. */
export interface Delivery {
  /**
   * "cluster": the backplane accepted it. "instance": only this instance's connections got it.
   * "unknown": the backplane did not answer in time; they got it here, elsewhere perhaps.
   */
  readonly scope: "cluster" | "instance" | "unknown";
  /** How many connections of this instance it was queued to. */
  readonly localRecipients: number;
  /** The position of the message in a durable room. */
  readonly id?: string;
}

/** One accepted WebSocket. Iterating over it gives its messages until it closes. */
export interface Connection extends AsyncIterable<IncomingMessage> {
  /** Unique in the cluster. */
  readonly id: string;
  readonly userId: string | undefined;
  /** The rooms it is in, or was in when it closed. */
  readonly rooms: ReadonlySet<string>;
  /** As given to `connect`; the application's own. */
  readonly metadata: Record<string, unknown>;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  /** When something last came from the client, in milliseconds since the epoch. */
  readonly lastActivityAt: number;
  readonly state: ConnectionState;
  /** Bytes that were sent to this connection and that the system has not taken yet. */
  readonly bufferedAmount: number;
  /** The client's address; undefined where the socket does not tell. */
  readonly remoteAddress: string | undefined;

  /**
   * Sends to this connection alone. Resolves when the message is queued; `localRecipients` is 0 if the
   * connection is no longer open.
   *
   * @throws TypeError (as a rejection) if the message cannot be encoded.
   */
  send(message: Message): Promise<Delivery>;

  /**
   * Joins a room. Resolves to whether that changed anything, once messages to the room will arrive.
   *
   * @throws TypeError or RangeError (as a rejection) if `room` is not a valid name.
   */
  join(room: string): Promise<boolean>;

  /** Leaves a room. Resolves to whether the connection was in it. */
  leave(room: string): Promise<boolean>;

  /**
   * Sends what is pending and then a close frame; does nothing if the connection is not open.
   *
   * @throws RangeError for a code or reason that RFC 6455 section 7.4 does not allow. Defaults to 1000.
   */
  close(code?: number, reason?: string): void;

  /**
   * Pings the client. Resolves to the round-trip time in milliseconds.
   *
   * @throws ConnectionClosedError (as a rejection) if the connection ends first.
   */
  ping(): Promise<number>;

  /** Adds a listener; returns the function that takes it away again. */
  on(event: "message", listener: (message: IncomingMessage) => unknown): () => void;
  on(event: "close", listener: (info: CloseInfo) => unknown): () => void;

  /**
   * The messages as parsed JSON. What does not parse is answered with an `error` frame and skipped; the
   * fifth in a row closes the connection with 1008.
   */
  json(): AsyncIterableIterator<unknown>;
}

/** What a connection needs from its manager. */
export interface ConnectionHost {
  sendTo(connection: ServerConnection, message: Message): Promise<Delivery>;
  join(connection: ServerConnection, room: string): Promise<boolean>;
  leave(connection: ServerConnection, room: string): Promise<boolean>;
  /**
   * Nothing more may be sent to the connection; called at least once. `dropped`: nobody meant it to end,
   * so the client may return.
   */
  closing(connection: ServerConnection, info: CloseInfo, dropped: boolean): void;
  closed(connection: ServerConnection, info: CloseInfo): void;
  report(error: unknown, stage: string): void;
}

/** Who a connection is and what it may do. */
export interface Identity {
  readonly id: string;
  readonly userId: string | undefined;
  readonly metadata: Record<string, unknown>;
}

/** Bounds of a connection. */
export interface ConnectionBounds {
  readonly maxQueueSize: number;
  readonly maxBufferedBytes: number;
}

/** How long a client that cannot be reached has left after its close frame was sent, in milliseconds. */
const LAST_CHANCE_MS = 1000;

export class ServerConnection extends Outbox implements Connection, SocketOwner {
  readonly id: string;
  readonly userId: string | undefined;
  readonly rooms: Set<string> = new Set();
  readonly metadata: Record<string, unknown>;
  readonly connectedAt: number = Date.now();
  lastActivityAt: number = this.connectedAt;
  /** When the next ping is due; on the clock of the heartbeat, which keeps it. */
  nextPingAt = 0;
  /** When the oldest ping was sent that nothing came after; 0: none. On the same clock. */
  pingedAt = 0;

  readonly #host: ConnectionHost;
  readonly #socket: WebSocket;
  readonly #writer: Writer;
  readonly #inbox: Inbox<IncomingMessage>;
  readonly #closeListeners: Set<(info: CloseInfo) => unknown> = new Set();
  /** What this side closed with; what the peer says after that is only an answer. */
  #closeInfo: CloseInfo | null = null;
  #closed: CloseInfo | null = null;
  /** The application closed it: the user is meant to be gone. */
  #dismissed = false;
  #jsonGate: JsonGate | null = null;

  constructor(
    host: ConnectionHost,
    socket: WebSocket,
    identity: Identity,
    bounds: ConnectionBounds,
  ) {
    super();
    this.#host = host;
    this.#socket = socket;
    this.id = identity.id;
    this.userId = identity.userId;
    this.metadata = identity.metadata;
    this.#writer =
      socket instanceof ServerSocket
        ? new StreamWriter(socket.stream, bounds.maxBufferedBytes)
        : new ForeignWriter(socket, bounds.maxBufferedBytes);
    this.#inbox = new Inbox(bounds.maxQueueSize, socket);
    if (socket instanceof ServerSocket) socket.own(this);
    listen(socket, this);
  }

  get state(): ConnectionState {
    return STATES[this.#socket.readyState] ?? "closed";
  }

  get remoteAddress(): string | undefined {
    return this.#socket instanceof ServerSocket ? this.#socket.remoteAddress : undefined;
  }

  get bufferedAmount(): number {
    return this.#writer.bufferedAmount;
  }

  /** Parses what the client sends and answers what is wrong with it. */
  get jsonGate(): JsonGate {
    this.#jsonGate ??= new JsonGate(this);
    return this.#jsonGate;
  }

  /** Messages the client sent when nobody was listening any more. */
  get ignoredMessages(): number {
    return this.#inbox.ignored;
  }

  /** Whether we are the ones not reading, so that a missing pong proves nothing. */
  get paused(): boolean {
    return this.#inbox.paused;
  }

  send(message: Message): Promise<Delivery> {
    return this.#host.sendTo(this, message);
  }

  join(room: string): Promise<boolean> {
    return this.#host.join(this, room);
  }

  leave(room: string): Promise<boolean> {
    return this.#host.leave(this, room);
  }

  close(code: number = CloseCode.normal, reason = ""): void {
    checkClose(code, reason);
    this.#dismissed = true;
    this.end(code, reason);
  }

  /** Closes for a reason of our own: the user may return. */
  end(code: number, reason: string): void {
    if (this.state !== "open") return;
    this.#closeInfo = { code, reason };
    if (!(this.#socket instanceof ServerSocket)) this.closing(code, reason);
    this.#socket.close(code, reason);
  }

  /** Closes, and ends the connection soon even if the client does not answer. */
  endFirmly(code: number, reason: string): void {
    this.end(code, reason);
    setTimeout(() => this.#socket.terminate(), LAST_CHANCE_MS).unref();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  ping(): Promise<number> {
    const payload = randomBytes(8);
    const start = performance.now();
    return new Promise((resolve, reject) => {
      if (this.state !== "open") {
        reject(new ConnectionClosedError(this.#closed?.code ?? CloseCode.abnormal));
        return;
      }
      const onPong = (data: Buffer): void => {
        if (!data.equals(payload)) return;
        stop();
        resolve(performance.now() - start);
      };
      const onClose = (code: number): void => {
        stop();
        reject(new ConnectionClosedError(code));
      };
      const stop = (): void => {
        this.#socket.off("pong", onPong);
        this.#socket.off("close", onClose);
      };
      this.#socket.on("pong", onPong);
      this.#socket.on("close", onClose);
      this.#socket.ping(payload);
    });
  }

  on(event: "message", listener: (message: IncomingMessage) => unknown): () => void;
  on(event: "close", listener: (info: CloseInfo) => unknown): () => void;
  on(
    ...[event, listener]:
      | [event: "message", listener: (message: IncomingMessage) => unknown]
      | [event: "close", listener: (info: CloseInfo) => unknown]
  ): () => void {
    if (typeof listener !== "function") {
      throw new TypeError(`The listener of ${event} must be a function.`);
    }
    if (event === "message") return this.#inbox.listen((message) => this.#guard(listener, message));
    if (event !== "close") {
      throw new TypeError(`A connection has the events message and close, not ${String(event)}.`);
    }
    this.#closeListeners.add(listener);
    return () => void this.#closeListeners.delete(listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<IncomingMessage, undefined> {
    return this.#inbox.read();
  }

  async *json(): AsyncGenerator<unknown, undefined> {
    for await (const message of this) {
      const result = this.jsonGate.parse(message);
      if (!result.ok) continue;
      this.jsonGate.accept();
      yield result.value;
    }
  }

  /** Hands each message to `consumer`, one after another; it MUST NOT throw or reject. */
  consume(consumer: (message: IncomingMessage) => unknown): void {
    this.#inbox.consume(consumer);
  }

  /** From now on messages nobody listens for are dropped. */
  ignoreRest(): void {
    this.#inbox.ignoreRest();
  }

  /** Calls `callback` when every message that has come was consumed. */
  whenIdle(callback: () => void): void {
    this.#inbox.whenIdle(callback);
  }

  /** A ping of the heartbeat; nobody waits for its answer. */
  heartbeat(): void {
    if (this.state === "open") this.#socket.ping();
  }

  override write(sequence: Sequence, holes: readonly Sequence[] | null): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#writer.write(sequence, holes)) return;
    this.#writer.discard();
    // Not from within the flush: closing tells others.
    setImmediate(() => this.endFirmly(CloseCode.slowReader, "slow reader"));
  }

  /** See `SocketOwner`. */
  closing(code: number, reason: string): void {
    this.flush();
    this.#writer.finish();
    this.#leave(this.#closeInfo ?? { code, reason });
  }

  /** See `SocketOwner`. */
  drained(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#writer.finish();
  }

  receive(data: Buffer, binary: boolean): void {
    this.alive();
    // Somebody reads a foreign socket directly: keeping its messages would stop it for good.
    if (!(this.#socket instanceof ServerSocket) && this.#socket.listenerCount("message") > 1) {
      this.#inbox.ignoreRest();
    }
    this.#inbox.push(binary ? data : data.toString());
  }

  /** Something came from the client, so it is there. */
  alive(): void {
    this.lastActivityAt = Date.now();
    this.pingedAt = 0;
  }

  ended(code: number, reason: string): void {
    const info = this.#closeInfo ?? { code, reason };
    this.#closed = info;
    this.#writer.discard();
    this.#leave(info);
    this.#inbox.end();
    for (const listener of this.#closeListeners) this.#guard(listener, info);
    this.#host.closed(this, info);
  }

  failed(error: Error): void {
    this.#host.report(error, "socket");
  }

  #leave(info: CloseInfo): void {
    const normal = info.code === CloseCode.normal || info.code === CloseCode.noStatus;
    this.#host.closing(this, info, !normal && !this.#dismissed);
  }

  #guard<A>(listener: (argument: A) => unknown, argument: A): void {
    try {
      const result = listener(argument);
      if (result instanceof Promise) {
        result.catch((error) => this.#host.report(error, "listener"));
      }
    } catch (error) {
      this.#host.report(error, "listener");
    }
  }
}

const STATES: readonly ConnectionState[] = ["connecting", "open", "closing", "closed"];

const CONNECTION = Symbol("roomcast.connection");

type OwnedSocket = WebSocket & { [CONNECTION]?: ServerConnection };

/** The connection a socket is registered as. */
export function connectionOf(socket: WebSocket): ServerConnection | undefined {
  return (socket as OwnedSocket)[CONNECTION];
}

// One function for all sockets and each event, not a closure for each connection.
function listen(socket: WebSocket, connection: ServerConnection): void {
  (socket as OwnedSocket)[CONNECTION] = connection;
  socket.on("message", onMessage);
  socket.on("ping", onSignOfLife);
  socket.on("pong", onSignOfLife);
  socket.on("close", onClose);
  socket.on("error", onError);
}

function onMessage(this: OwnedSocket, data: Buffer, binary: boolean): void {
  this[CONNECTION]?.receive(data, binary);
}

function onSignOfLife(this: OwnedSocket): void {
  this[CONNECTION]?.alive();
}

function onClose(this: OwnedSocket, code: number, reason: Buffer): void {
  this[CONNECTION]?.ended(code, reason.toString());
}

function onError(this: OwnedSocket, error: Error): void {
  this[CONNECTION]?.failed(error);
}
