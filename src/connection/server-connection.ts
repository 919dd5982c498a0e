import type { WebSocket } from "ws";
import type { Principal } from "../auth/authenticator.ts";
import type { Dialect } from "../inbound/dialect.ts";
import { Inbound, type Sender } from "../inbound/inbound.ts";
import { TokenBucket } from "../limits/token-bucket.ts";
import { CloseCode, checkClose } from "../protocol/close-codes.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import { ConnectionClosedError } from "../protocol/errors.ts";
import { checkName } from "../protocol/names.ts";
import type { Message } from "../protocol/payload.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import type { SchemaOutput, StandardSchema } from "../protocol/standard-schema.ts";
import { isThenable } from "../protocol/thenable.ts";
import { unawaited } from "../protocol/unawaited.ts";
import { askClient } from "./ask-client.ts";
import type { CloseInfo, Connection, Delivery } from "./connection.ts";
import { Endpoint } from "./endpoint.ts";
import type { ConnectionBounds, ConnectionHost, Identity, RouteRules } from "./host.ts";
import { openTransport } from "./open-transport.ts";

/** Who serves a connection to its end. MUST NOT throw. */
export interface Follower {
  closed(info: CloseInfo): void;
}

export class ServerConnection extends Endpoint implements Connection<unknown>, Sender {
  readonly id: string;
  readonly userId: string | undefined;
  readonly rooms: Set<string> = new Set();
  readonly metadata: Record<string, unknown>;
  readonly connectedAt: number = Date.now();
  /** Since `connectedAt`: a small number where it lies in memory. */
  #lastActivityMs = 0;
  /** What a limit by address counts it with; null: with nobody. */
  readonly addressGroup: string | null;
  /** Whether it was ever one of its instance's; one that came too late never is. */
  isRegistered = false;
  /** Where it lies in the wheel of the sweep, which keeps both. */
  slot = 0;
  place = 0;
  /** In which turn of the sweep the oldest ping was sent that nothing came after; 0: none. */
  pingedAt = 0;
  /** How many pings of ours have not been answered. */
  pongsAwaited = 0;
  /** Since when a message is being received, in whole milliseconds on the clock of the sweep; 0: none is. */
  receivingSince = 0;

  /** Where what the client sends goes. */
  readonly inbound: Inbound;
  /** What it has beyond others if it speaks a subprotocol of ours. */
  dialect: Dialect | null = null;

  readonly #host: ConnectionHost<ServerConnection>;
  readonly #bounds: ConnectionBounds;
  readonly #rules: RouteRules;
  #principal: Principal | null;
  #pings: TokenBucket | null = null;
  #closeListeners: Set<(info: CloseInfo) => unknown> | null = null;
  #follower: Follower | null = null;
  /** The application closed it: the user is meant to be gone. */
  #dismissed = false;

  constructor(
    host: ConnectionHost<ServerConnection>,
    socket: WebSocket,
    { id, userId, principal, metadata, remoteAddress, addressGroup }: Identity,
    bounds: ConnectionBounds,
    rules: RouteRules,
  ) {
    super(host.fanOut, socket.protocol === SUBPROTOCOL, socket.readyState, (owner) =>
      openTransport(socket, owner, bounds.maxBufferedBytes, remoteAddress),
    );
    this.#host = host;
    this.#bounds = bounds;
    this.id = id;
    this.userId = userId;
    this.#principal = principal;
    this.metadata = metadata;
    this.addressGroup = addressGroup;
    this.#rules = rules;
    this.inbound = new Inbound(this, this.transport, bounds, rules.schema);
    if (this.state !== "open") this.inbound.end();
  }

  get principal(): Principal | null {
    return this.#principal;
  }

  /** When the credential expires, in milliseconds since the epoch; Infinity: never. */
  get expiresAt(): number {
    return this.#principal?.expiresAt ?? Number.POSITIVE_INFINITY;
  }

  get lastActivityAt(): number {
    return this.connectedAt + this.#lastActivityMs;
  }

  /** Whether joining asks the route. */
  get authorizes(): boolean {
    return this.#rules.authorize !== null;
  }

  get remoteAddress(): string | undefined {
    return this.transport.remoteAddress;
  }

  get bufferedAmount(): number {
    return this.transport.bufferedAmount;
  }

  get maxBufferedBytes(): number {
    return this.#bounds.maxBufferedBytes;
  }

  /** Messages the client sent when nobody was listening any more. */
  get ignoredMessages(): number {
    return this.inbound.inbox.ignored;
  }

  /** Whether we are the ones not reading, so that a missing pong proves nothing. */
  get paused(): boolean {
    return this.inbound.paused;
  }

  // Sending

  send(message: Message): Promise<Delivery> {
    try {
      return Promise.resolve(this.deliver(EncodedMessage.from(message)));
    } catch (error) {
      return this.#unawaited(Promise.reject(error), "send");
    }
  }

  /** Queues a message to this connection alone. */
  deliver(message: EncodedMessage): Delivery {
    const localRecipients = this.state === "open" ? 1 : 0;
    if (localRecipients > 0) {
      this.counters.sent.connection++;
      this.deliverFrame(this.enveloped ? message.enveloped(null, null) : message.plain);
    }
    return { scope: this.#host.scope, localRecipients };
  }

  request<T>(data: unknown, options: { readonly timeoutMs?: number } = {}): Promise<T> {
    // Whoever asked is told; nobody else needs to know.
    return unawaited(askClient(this, data, options.timeoutMs) as Promise<T>, () => {});
  }

  // Rooms

  join(room: string): Promise<boolean> {
    return this.#unawaited(
      this.authorizes ? this.#join(room) : this.#host.join(this, room),
      "join",
    );
  }

  leave(room: string): Promise<boolean> {
    return this.#unawaited(this.#host.leave(this, room), "leave");
  }

  /** Whether its route lets it into a room. One that throws refuses. */
  async isAllowed(room: string): Promise<boolean> {
    const { authorize } = this.#rules;
    try {
      return authorize === null || Boolean(await authorize(this, room));
    } catch (error) {
      this.report(error, "authorize");
      return false;
    }
  }

  /** Tells the client that it may not be in a room. */
  forbid(room: string): void {
    this.tell({ type: "error", code: "forbidden", message: "You may not join this room.", room });
  }

  /**
   * Joins as the client asks: it is told why not. Resolves once it is in the room, not when messages arrive: with the
   * backplane away that may take long. Never rejects.
   */
  async admit(room: string): Promise<void> {
    if (!this.rooms.has(room) && !(await this.isAllowed(room))) {
      this.forbid(room);
      return;
    }
    this.#host.join(this, room).catch((error: unknown) => {
      if (!(error instanceof RangeError)) this.report(error, "join");
      else this.tell({ type: "error", code: "too_many_rooms", message: error.message, room });
    });
  }

  // Receiving

  /** Whether what the client sent is still being handled; also after it has gone. */
  get isServed(): boolean {
    return this.#follower !== null;
  }

  /** Tells `follower` when the socket has closed, after the listeners; null: all that had come is handled. */
  follow(follower: Follower | null): void {
    this.#follower = follower;
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
    if (event === "message") {
      return this.inbound.inbox.listen((message) => this.#guard(listener, message));
    }
    if (event !== "close") {
      throw new TypeError(`A connection has the events message and close, not ${String(event)}.`);
    }
    this.#closeListeners ??= new Set();
    this.#closeListeners.add(listener);
    return () => void this.#closeListeners?.delete(listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, undefined> {
    return this.inbound.inbox.read();
  }

  json(): AsyncGenerator<unknown, undefined>;
  json<S extends StandardSchema>(schema: S): AsyncGenerator<SchemaOutput<S>, undefined>;
  json(schema?: StandardSchema): AsyncGenerator<unknown, undefined> {
    return this.inbound.json(schema);
  }

  // Life

  /** Gives it the subprotocol it speaks. */
  speak(dialect: Dialect): void {
    this.dialect = dialect;
    this.inbound.dialect = dialect;
  }

  /** Takes a new credential in place of the old. */
  renewed(principal: Principal): void {
    this.#principal = principal;
  }

  ping(): Promise<number> {
    const code = this.closeInfo?.code ?? CloseCode.abnormal;
    this.pongsAwaited++;
    const answer =
      this.state === "open"
        ? this.transport.roundTrip()
        : Promise.reject(new ConnectionClosedError(code));
    // That a connection has ended is told as such; it is no failure of anybody's.
    return unawaited(answer, () => {});
  }

  close(code: number = CloseCode.normal, reason = ""): void {
    checkClose(code, reason);
    this.#dismissed = true;
    this.end(code, reason);
  }

  override report(error: unknown, stage: string): void {
    this.#host.failed(error, stage, this);
  }

  // What the socket tells
  override received(data: Buffer, binary: boolean, readElsewhere: boolean): void {
    this.#alive();
    this.receivingSince = 0;
    // Whom we closed on is not listened to any more.
    if (!this.isListening) return;
    // Somebody reads a foreign socket directly: keeping its messages would stop it for good.
    if (readElsewhere) this.inbound.inbox.ignoreRest();
    if (this.userId !== undefined) this.counters.hitters?.users.add(this.userId, 1);
    this.inbound.receive(data, binary, this.lastActivityAt);
  }

  override pinged(): void {
    this.#alive();
    this.#countControl();
  }

  override ponged(): void {
    this.#alive();
    // Those we asked for may come all at once, from a client that was held up.
    if (this.pongsAwaited > 0) this.pongsAwaited--;
    else this.#countControl();
  }

  protected override left({ code }: CloseInfo): void {
    const normal = code === CloseCode.normal || code === CloseCode.noStatus;
    this.#host.closing(this, !normal && !this.#dismissed);
  }

  protected override gone(info: CloseInfo): void {
    this.inbound.end();
    this.dialect?.ended(info.code);
    for (const listener of this.#closeListeners ?? []) this.#guard(listener, info);
    this.#follower?.closed(info);
    this.#host.closed(this, info);
  }

  protected override dropUnread(): void {
    this.inbound.inbox.discard();
  }

  #alive(): void {
    this.#lastActivityMs = Date.now() - this.connectedAt;
    this.pingedAt = 0;
  }

  #countControl(): void {
    const { pingsPerSecond: most } = this.#bounds;
    this.#pings ??= new TokenBucket(most, most, this.lastActivityAt);
    if (!this.#pings.take(this.lastActivityAt)) this.endFirmly(CloseCode.flood, "too many pings");
  }

  async #join(room: string): Promise<boolean> {
    const asks = this.authorizes && !this.rooms.has(checkName("room", room));
    if (asks && !(await this.isAllowed(room))) {
      this.forbid(room);
      return false;
    }
    return this.#host.join(this, room);
  }

  #unawaited<T>(work: Promise<T>, stage: string): Promise<T> {
    return unawaited(work, (error) => this.report(error, stage));
  }

  #guard<A>(listener: (argument: A) => unknown, argument: A): void {
    try {
      const result = listener(argument);
      if (isThenable(result)) {
        result.then(undefined, (error: unknown) => this.report(error, "listener"));
      }
    } catch (error) {
      this.report(error, "listener");
    }
  }
}
