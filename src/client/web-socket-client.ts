import { type ClientConfig, resolveClientConfig } from "../protocol/client-config.ts";
import { ConnectionClosedError, MessageTooLargeError, WebSocketError } from "../protocol/errors.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import type { SchemaOutput, StandardSchema } from "../protocol/standard-schema.ts";
import { type ClientEvents, createEmitter, type Emitter } from "./events.ts";
import { byteLength, encodeMessage, type Outgoing } from "./frames.ts";
import { createHeartbeat, type Heartbeat } from "./heartbeat.ts";
import { createInbox, type Inbox } from "./inbox.ts";
import { parseMessage } from "./json.ts";
import type { WaitOptions, WebSocketClientOptions } from "./options.ts";
import { createOutbox, type Outbox } from "./outbox.ts";
import {
  type ClientState,
  createPersistentConnection,
  type PersistentConnection,
  type Succession,
} from "./persistent-connection.ts";
import { createPositions, type Positions } from "./positions.ts";
import { createReconnectPolicy } from "./reconnect-policy.ts";
import type { ClientSocket, ReceivedMessage, Runtime } from "./runtime.ts";
import { takeFrame } from "./session.ts";

/** How long a request may take by default; and at most, which is as long as servers remember ids. */
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_REQUEST_TIMEOUT_MS = 600_000;
const MAX_REASON_BYTES = 123;

/**
 * A client of any WebSocket server that stays connected. What it does when a connection is lost is in
 * `docs/client.md`. This is what is the same in every runtime.
 */
export class BaseClient implements AsyncIterable<ReceivedMessage> {
  /** Where it connects to. */
  readonly url: string;
  readonly config: ClientConfig;
  readonly #runtime: Runtime;
  readonly #options: WebSocketClientOptions;
  readonly #events: Emitter = createEmitter();
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #positions: Positions;
  readonly #heartbeat: Heartbeat;
  readonly #connection: PersistentConnection;
  #socket: ClientSocket | undefined;
  /** Whether there has been a connection since `connect`. */
  #wasOpen = false;
  /** How the last connection ended. */
  #closed: ConnectionClosedError | undefined;

  /**
   * `succession`: what there is in common with those before and after, if somebody else makes the next connection.
   *
   * @throws TypeError or RangeError naming the option that is wrong.
   */
  constructor(
    runtime: Runtime,
    url: string | URL,
    options: WebSocketClientOptions,
    succession?: Succession,
  ) {
    const { offlineQueue = 100, resumeFrom = {}, token } = options;
    const config = resolveClientConfig(options.config);
    this.url = checkUrl(url);
    this.config = config;
    if (!(offlineQueue >= 0)) {
      throw new RangeError(`offlineQueue must be 0 or more, not ${offlineQueue}.`);
    }
    if (options.headers && !runtime.hasHeaders) {
      throw new TypeError("headers cannot be set here; use token.");
    }
    const events = this.#events;
    const policy =
      succession?.policy ??
      createReconnectPolicy(config, runtime.random, typeof token === "function");
    if (succession) succession.policy = policy;
    this.#runtime = runtime;
    this.#options = options;
    this.#positions = createPositions(resumeFrom);
    this.#outbox = createOutbox(offlineQueue);
    this.#inbox = createInbox(config.maxQueueSize, events, {
      hold: (held) => this.#socket?.hold?.(held),
      taken: this.#positions.took,
    });
    this.#heartbeat = createHeartbeat(runtime, config);
    const parts = {
      runtime,
      url: this.url,
      options,
      config,
      policy,
      succession,
      events,
      heartbeat: this.#heartbeat,
      inbox: this.#inbox,
      outbox: this.#outbox,
      positions: this.#positions,
      refresh: () => void this.#refresh().catch(events.fail),
    };
    this.#connection = createPersistentConnection(parts, {
      began: () => {
        this.#wasOpen = false;
        this.#inbox.begin();
        this.#outbox.begin();
      },
      opened: (socket) => this.#opened(socket),
      received: (message) => {
        if (this.#socket?.protocol === SUBPROTOCOL) takeFrame(message, parts);
        else this.#inbox.push({ message, info: {} });
      },
      lost: () => {
        this.#socket = undefined;
        this.#outbox.lost();
      },
      finished: (error, isNormal) => {
        const { closeCode: code, reason } = error;
        this.#closed = error;
        this.#outbox.end(error);
        this.#inbox.end(isNormal ? null : error);
        events.emit("close", { code, reason });
      },
    });
  }

  get state(): ClientState {
    return this.#connection.state;
  }

  get isConnected(): boolean {
    return this.state === "open";
  }

  /** The last round trip in milliseconds; null until one was measured. */
  get latency(): number | null {
    return this.#heartbeat.latency;
  }

  /** Bytes that were sent and that the system has not taken yet. */
  get bufferedAmount(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /**
   * Where the application stands in each durable room: after the last message it has taken. Given to a later
   * client as `resumeFrom`, that one goes on from here.
   */
  get positions(): Record<string, string> {
    return this.#positions.taken();
  }

  /**
   * Connects. The first attempt is not repeated; while the client waits to reconnect, tries at once. After the
   * end it begins anew.
   *
   * @throws ConnectionFailedError (as a rejection) if it fails.
   * @throws AuthenticationError (as a rejection) if the credential was refused, and a new one too.
   * @throws ConnectionClosedError (as a rejection) if `close` is called meanwhile.
   */
  async connect(): Promise<void> {
    await this.#connection.connect();
  }

  /**
   * Closes for good. Resolves when the connection has ended, after `closeTimeoutMs` at the latest.
   *
   * @throws RangeError (as a rejection) for a code or reason that may not be sent. Defaults to 1000.
   */
  async close(code = 1000, reason = ""): Promise<void> {
    const size = byteLength(reason);
    if ((code === 1000 || (code >= 3000 && code <= 4999)) && size <= MAX_REASON_BYTES) {
      return this.#connection.close(new ConnectionClosedError(code, reason));
    }
    throw new RangeError(
      `code must be 1000 or from 3000 to 4999, not ${code}; reason at most ${MAX_REASON_BYTES} bytes, not ${size}.`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Sends a message: a string as text, bytes in a binary frame, any other value as JSON. Resolves when the system
   * has taken it and there is room for more; whether it arrives nobody knows. It is never sent twice. Without a
   * connection it waits for the next.
   *
   * @throws TypeError (as a rejection) if the message has no form on the wire.
   * @throws MessageTooLargeError (as a rejection) if it is over `maxMessageSize`.
   * @throws ConnectionClosedError (as a rejection) if there is no connection and none will be made, if too many
   * messages wait, or if the connection was lost before the system took it.
   */
  async send(message: unknown): Promise<void> {
    await this.#outbox.send(this.#encode(message, false));
  }

  /** Sends any value as JSON, strings too. Else as `send`. */
  async sendJson(value: unknown): Promise<void> {
    await this.#outbox.send(this.#encode(value, true));
  }

  /**
   * Sends a message that the server acknowledges when its handler is done, and resolves with what that gave. It
   * is sent again after a reconnect, and handled once. With `roomcast.v1`.
   *
   * @throws WebSocketError (as a rejection) with the server's code if it was refused, `timeout` after `timeoutMs`
   * (default 30,000, at most 600,000), `not_supported` without `roomcast.v1`. Else as `send`.
   */
  async request(message: unknown, options: WaitOptions = {}): Promise<unknown> {
    const { timeoutMs = REQUEST_TIMEOUT_MS } = options;
    if (timeoutMs > MAX_REQUEST_TIMEOUT_MS) {
      throw new RangeError(
        `timeoutMs must be at most ${MAX_REQUEST_TIMEOUT_MS}, not ${timeoutMs}.`,
      );
    }
    options.signal?.throwIfAborted();
    const id = makeId();
    const answer = this.#outbox.send(this.#encode(message, false), id);
    return this.#until({ ...options, timeoutMs }, answer, (reason) => {
      this.#outbox.answered(id, null, reason);
    });
  }

  /**
   * The next message, over reconnections.
   *
   * @throws WebSocketError (as a rejection) with code `timeout`, or `concurrent_recv` if somebody is waiting already.
   * @throws ConnectionClosedError (as a rejection) after the final close.
   */
  async recv(options: WaitOptions = {}): Promise<ReceivedMessage> {
    options.signal?.throwIfAborted();
    const taking = await this.#until(options, this.#inbox.take(), (reason) => {
      this.#inbox.cancel(reason);
    });
    if (taking === null) throw this.#closed;
    this.#positions.took(taking.info);
    return taking.message;
  }

  /**
   * The next message, parsed, and as the schema makes it if there is one.
   *
   * @throws WebSocketError (as a rejection) with code `invalid_message` if it is no JSON or does not fit. Else as `recv`.
   */
  recvJson(options?: WaitOptions): Promise<unknown>;
  recvJson<S extends StandardSchema>(
    options: WaitOptions & { readonly schema: S },
  ): Promise<SchemaOutput<S>>;
  async recvJson({
    schema,
    ...options
  }: WaitOptions & { readonly schema?: StandardSchema } = {}): Promise<unknown> {
    return parseMessage(await this.recv(options), schema);
  }

  /**
   * The messages, over reconnections. A message counts as taken when the loop asks for the next. Ends at a final
   * close with 1000 or by `close`, and throws ConnectionClosedError at any other.
   */
  [Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage, undefined, undefined> {
    return this.#inbox.read();
  }

  /**
   * The messages, parsed, and as the schema makes them if there is one. What is no JSON or does not fit is skipped
   * and told by the `error` event.
   */
  json(): AsyncGenerator<unknown, undefined, undefined>;
  json<S extends StandardSchema>(schema: S): AsyncGenerator<SchemaOutput<S>, undefined, undefined>;
  async *json(schema?: StandardSchema): AsyncGenerator<unknown, undefined, undefined> {
    for await (const message of this) {
      let value: unknown;
      try {
        value = await parseMessage(message, schema);
      } catch (error) {
        this.#events.fail(error);
        continue;
      }
      yield value;
    }
  }

  /** Adds a listener; returns the function that takes it away again. */
  on<Name extends keyof ClientEvents>(
    event: Name,
    listener: (...args: ClientEvents[Name]) => unknown,
  ): () => void {
    const off = this.#events.on(event, listener);
    if (event === "message") this.#inbox.listened();
    return off;
  }

  #opened(socket: ClientSocket): void {
    const isEnveloped = socket.protocol === SUBPROTOCOL;
    const reconnected = this.#wasOpen;
    this.#wasOpen = true;
    this.#socket = socket;
    // What cannot be sent any more shows in the end of the connection.
    const tell = (frame: object): void => void socket.send(JSON.stringify(frame)).catch(() => {});
    if (isEnveloped) tell({ type: "resume", rooms: this.#positions.resume() });
    const byFrame = isEnveloped ? (t: number) => tell({ type: "ping", t }) : undefined;
    this.#heartbeat.start(socket, socket.ping ?? byFrame);
    socket.hold?.(this.#inbox.held);
    this.#outbox.open(socket);
    this.#events.emit("open", { reconnected });
  }

  /** The token ends soon: a new one takes its place. */
  async #refresh(): Promise<void> {
    const { token } = this.#options;
    if (typeof token !== "function") return;
    await this.#socket?.send(JSON.stringify({ type: "auth", token: await token() }));
  }

  #encode(message: unknown, asJson: boolean): Outgoing {
    const outgoing = encodeMessage(message, asJson);
    const { maxMessageSize } = this.config;
    const size = byteLength(outgoing.data);
    if (size > maxMessageSize) throw new MessageTooLargeError(size, maxMessageSize);
    return outgoing;
  }

  /** `work`, unless the time is over or the signal aborted before; then `cancel` has to make it reject. */
  async #until<T>(
    { timeoutMs, signal }: WaitOptions,
    work: Promise<T>,
    cancel: (reason: unknown) => void,
  ): Promise<T> {
    const abort = (): void => cancel(signal?.reason);
    const late = (): void => {
      cancel(new WebSocketError(`Nothing came within ${timeoutMs} ms.`, { code: "timeout" }));
    };
    signal?.addEventListener("abort", abort);
    const stop = timeoutMs === undefined ? null : this.#runtime.schedule(timeoutMs, late);
    try {
      return await work;
    } finally {
      stop?.();
      signal?.removeEventListener("abort", abort);
    }
  }
}

function checkUrl(url: string | URL): string {
  const text = String(url);
  if (/^wss?:\/\/[^#]+$/.test(text) && URL.canParse(text)) return text;
  // It may hold a secret, so it is not shown.
  throw new TypeError("url must be an address with ws:// or wss:// and no fragment.");
}

/** `crypto.randomUUID` is missing on pages without HTTPS. */
function makeId(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("");
}
