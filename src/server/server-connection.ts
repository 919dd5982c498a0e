import { WebSocket } from "ws";
import type { Principal } from "../auth/authenticator.ts";
import type { Consumer } from "../connections/inbox.ts";
import { TokenBucket } from "../connections/token-bucket.ts";
import { Outbox } from "../fanout/outbox.ts";
import type { Hole, Sequence } from "../fanout/sequence.ts";
import { StreamWriter, type Writer } from "../fanout/writer.ts";
import { CloseCode, checkClose, mayReturn } from "../protocol/close-codes.ts";
import { ConnectionClosedError } from "../protocol/errors.ts";
import { checkName } from "../protocol/names.ts";
import type { Message } from "../protocol/payload.ts";
import { type ErrorFrame, type ServerFrame, SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import type { SchemaOutput, StandardSchema } from "../protocol/standard-schema.ts";
import type { Authorize, Connection, ConnectionState, Delivery } from "./connection.ts";
import type { ConnectionBounds, ConnectionHost, Identity, RouteTerms } from "./connection-terms.ts";
import type { CloseInfo } from "./events.ts";
import { ForeignWriter } from "./foreign-writer.ts";
import { Inbound, type Sender } from "./inbound.ts";
import { measureRoundTrip } from "./round-trip.ts";
import { ServerSocket, type SocketOwner } from "./server-socket.ts";
import { Session, type SessionOwner } from "./session.ts";
import { listen } from "./socket-events.ts";

const FORBIDDEN = {
  type: "error",
  code: "forbidden",
  message: "You may not join this room.",
} satisfies ErrorFrame;

/** How long a client that cannot be reached has left after its close frame was sent, in milliseconds. */
const LAST_CHANCE_MS = 1000;

export class ServerConnection
  extends Outbox
  implements Connection<unknown>, Sender, SocketOwner, SessionOwner
{
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
  /** Since when a message is being received, on the clock of the deadlines, which keep it; 0: none is. */
  receivingSince = 0;

  /** What it has beyond others if it speaks `roomcast.v1`. */
  readonly session: Session | null;
  /** Bytes that may wait for its reader. */
  readonly maxBufferedBytes: number;
  /** How often it is pinged, in milliseconds; 0: never. */
  readonly #heartbeatMs: number;

  readonly #host: ConnectionHost;
  readonly #socket: WebSocket;
  readonly #writer: Writer;
  readonly #inbound: Inbound;
  readonly #authorize: Authorize | null;
  #principal: Principal | null;
  readonly #pingsPerSecond: number;
  #pings: TokenBucket | null = null;
  readonly #closeListeners: Set<(info: CloseInfo) => unknown> = new Set();
  /** What this side closed with; what the peer says after that is only an answer. */
  #closeInfo: CloseInfo | null = null;
  #closed: CloseInfo | null = null;
  /** The application closed it: the user is meant to be gone. */
  #dismissed = false;
  #terminating = false;
  #saidGoodbye = false;
  /** Those who wait until the reader has caught up. */
  #awaitingDrain: (() => void)[] | null = null;

  constructor(
    host: ConnectionHost,
    socket: WebSocket,
    identity: Identity,
    bounds: ConnectionBounds,
    { authorize, schema, renew }: RouteTerms,
  ) {
    super(socket.protocol === SUBPROTOCOL);
    this.#host = host;
    this.#socket = socket;
    this.id = identity.id;
    this.userId = identity.userId;
    this.#principal = identity.principal;
    this.metadata = identity.metadata;
    this.#authorize = authorize;
    this.#pingsPerSecond = bounds.pingsPerSecond;
    this.maxBufferedBytes = bounds.maxBufferedBytes;
    this.#heartbeatMs = bounds.heartbeatMs;
    this.#writer =
      socket instanceof ServerSocket
        ? new StreamWriter(socket.stream, bounds.maxBufferedBytes)
        : new ForeignWriter(socket, bounds.maxBufferedBytes);
    this.#inbound = new Inbound(this, socket, bounds, schema);
    this.session = this.enveloped ? new Session(this, this.#inbound, host.receipts, renew) : null;
    this.#inbound.session = this.session;
    if (socket instanceof ServerSocket) socket.own(this);
    listen(socket, this);
  }

  get principal(): Principal | null {
    return this.#principal;
  }

  /** When the credential expires, in milliseconds since the epoch; Infinity: never. */
  get expiresAt(): number {
    return this.#principal?.expiresAt ?? Number.POSITIVE_INFINITY;
  }

  /** Whether joining asks the route. */
  get authorizes(): boolean {
    return this.#authorize !== null;
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

  /** Messages the client sent when nobody was listening any more. */
  get ignoredMessages(): number {
    return this.#inbound.inbox.ignored;
  }

  /** Whether a message has begun and not ended. */
  get receiving(): boolean {
    return this.#socket instanceof ServerSocket && this.#socket.receiving;
  }

  /** Whether we are the ones not reading, so that a missing pong proves nothing. */
  get paused(): boolean {
    return this.#inbound.paused;
  }

  send(message: Message): Promise<Delivery> {
    return this.#host.sendTo(this, message);
  }

  /** Sends a frame of ours, in no envelope. */
  tell(frame: ServerFrame): void {
    this.#host.tell(this, frame);
  }

  /** The connection was registered: it is told who it is, before anything else. */
  welcome(instance: string): void {
    if (this.session === null) return;
    const heartbeat_ms = this.#heartbeatMs;
    this.tell({ type: "welcome", connection: this.id, instance, heartbeat_ms });
  }

  /** Says that the connection is about to be closed, and when the client should be back. */
  sayGoodbye(code: number, afterMs: number): void {
    if (this.session === null || this.#saidGoodbye || this.state !== "open") return;
    this.#saidGoodbye = true;
    this.tell({ type: "goodbye", code, reconnect: mayReturn(code), after_ms: afterMs });
  }

  async join(room: string): Promise<boolean> {
    if (this.#mustAsk(room) && !(await this.#isAllowed(room))) return false;
    return this.#host.join(this, room);
  }

  /** See `SessionOwner`. Not until messages of the room arrive: with the backplane away that may take long. */
  async admit(room: string): Promise<void> {
    if (this.#mustAsk(room) && !(await this.#isAllowed(room))) return;
    this.#host.join(this, room).catch((error) => {
      if (!(error instanceof RangeError)) this.report(error, "join");
      else this.tell({ type: "error", code: "too_many_rooms", message: error.message, room });
    });
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
    this.sayGoodbye(code, 0);
    this.#closeInfo = { code, reason };
    if (!(this.#socket instanceof ServerSocket)) this.closing(code, reason);
    this.#socket.close(code, reason);
  }

  /** Closes, and ends the connection soon even if the client does not answer. */
  endFirmly(code: number, reason: string): void {
    this.end(code, reason);
    if (this.#terminating) return;
    this.#terminating = true;
    setTimeout(() => this.#socket.terminate(), LAST_CHANCE_MS).unref();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  async ping(): Promise<number> {
    if (this.state === "open") return measureRoundTrip(this.#socket);
    throw new ConnectionClosedError(this.#closed?.code ?? CloseCode.abnormal);
  }

  on(event: "message", listener: (message: unknown) => unknown): () => void;
  on(event: "close", listener: (info: CloseInfo) => unknown): () => void;
  on(
    ...[event, listener]:
      | [event: "message", listener: (message: unknown) => unknown]
      | [event: "close", listener: (info: CloseInfo) => unknown]
  ): () => void {
    if (typeof listener !== "function") {
      throw new TypeError(`The listener of ${event} must be a function.`);
    }
    if (event === "message")
      return this.#inbound.inbox.listen((message) => this.#guard(listener, message));
    if (event !== "close") {
      throw new TypeError(`A connection has the events message and close, not ${String(event)}.`);
    }
    this.#closeListeners.add(listener);
    return () => void this.#closeListeners.delete(listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, undefined> {
    return this.#inbound.inbox.read();
  }

  json(): AsyncGenerator<unknown, undefined>;
  json<S extends StandardSchema>(schema: S): AsyncGenerator<SchemaOutput<S>, undefined>;
  json(schema?: StandardSchema): AsyncGenerator<unknown, undefined> {
    return this.#inbound.json(schema);
  }

  /** Hands each message to `consumer`, one after another; it MUST NOT throw or reject. */
  consume(consumer: Consumer<unknown>): void {
    this.#inbound.inbox.consume(consumer);
  }

  /** From now on messages nobody listens for are dropped. */
  ignoreRest(): void {
    this.#inbound.inbox.ignoreRest();
  }

  /** Calls `callback` when every message that has come was consumed. */
  whenIdle(callback: () => void): void {
    this.#inbound.whenIdle(callback);
  }

  /** A ping of the heartbeat; nobody waits for its answer. */
  heartbeat(): void {
    if (this.state === "open") this.#socket.ping();
  }

  override write(sequence: Sequence, holes: readonly Hole[] | null): void {
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
  onDrain(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#writer.finish();
    if (this.#writer.bufferedAmount === 0) this.#caughtUp();
  }

  /** Lets this many bytes more wait for the reader than the bound allows, until it has caught up. */
  grant(bytes: number): void {
    this.#writer.grant(bytes);
  }

  /** Resolves when the reader has taken everything it was sent, or the connection has ended. */
  drained(): Promise<void> {
    this.flush();
    // Of a foreign socket nobody hears when it has drained.
    const told = this.#socket instanceof ServerSocket && this.state === "open";
    if (!told || this.#writer.bufferedAmount === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#awaitingDrain ??= [];
      this.#awaitingDrain.push(resolve);
    });
  }

  /** See `SessionOwner`. */
  renewed(principal: Principal): void {
    this.#principal = principal;
  }

  /** See `SessionOwner`. */
  ready(): void {
    this.#host.ready(this);
  }

  receive(data: Buffer, binary: boolean): void {
    this.alive();
    this.receivingSince = 0;
    // Whom we closed on is not listened to any more, whether or not it has answered the close.
    if (this.#closeInfo !== null) return;
    // Somebody reads a foreign socket directly: keeping its messages would stop it for good.
    if (!(this.#socket instanceof ServerSocket) && this.#socket.listenerCount("message") > 1) {
      this.ignoreRest();
    }
    this.#inbound.receive(data, binary, this.lastActivityAt);
  }

  /** The client sent a ping; `ws` has answered it. */
  pinged(): void {
    this.alive();
    this.#pings ??= new TokenBucket(
      this.#pingsPerSecond,
      this.#pingsPerSecond,
      this.lastActivityAt,
    );
    if (!this.#pings.take(this.lastActivityAt)) this.endFirmly(CloseCode.flood, "too many pings");
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
    this.#caughtUp();
    this.#leave(info);
    this.#inbound.end();
    for (const listener of this.#closeListeners) this.#guard(listener, info);
    this.#host.closed(this, info);
  }

  report(error: unknown, stage: string): void {
    this.#host.report(error, stage);
  }

  #caughtUp(): void {
    const waiting = this.#awaitingDrain ?? [];
    this.#awaitingDrain = null;
    for (const resolve of waiting) resolve();
  }

  #mustAsk(room: string): boolean {
    return this.#authorize !== null && !this.rooms.has(checkName("room", room));
  }

  /** Asks the route; a refusal has been told. */
  async #isAllowed(room: string): Promise<boolean> {
    try {
      if (this.#authorize === null || (await this.#authorize(this, room))) return true;
    } catch (error) {
      this.report(error, "authorize");
    }
    this.tell({ ...FORBIDDEN, room });
    return false;
  }

  #leave(info: CloseInfo): void {
    const normal = info.code === CloseCode.normal || info.code === CloseCode.noStatus;
    this.#host.closing(this, info, !normal && !this.#dismissed);
  }

  #guard<A>(listener: (argument: A) => unknown, argument: A): void {
    try {
      const result = listener(argument);
      if (result instanceof Promise) {
        result.catch((error) => this.report(error, "listener"));
      }
    } catch (error) {
      this.report(error, "listener");
    }
  }
}

const STATES: readonly ConnectionState[] = ["connecting", "open", "closing", "closed"];
