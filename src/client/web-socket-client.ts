import { type ClientConfig, resolveClientConfig } from "../protocol/client-config.ts";
import { ConnectionClosedError, MessageTooLargeError, WebSocketError } from "../protocol/errors.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import {
  describeIssues,
  type SchemaOutput,
  type StandardSchema,
} from "../protocol/standard-schema.ts";
import { type ClientEvents, Emitter } from "./events.ts";
import { byteLength, encodeMessage, type Outgoing } from "./frames.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Inbox } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import { type ClientState, PersistentConnection } from "./persistent-connection.ts";
import { Positions } from "./positions.ts";
import { ReconnectPolicy, type Wait } from "./reconnect-policy.ts";
import type { ClientSocket, ReceivedMessage, Runtime } from "./runtime.ts";
import { Session } from "./session.ts";

/** How to connect, and what to do when the connection is lost. */
export interface WebSocketClientOptions {
  /** What differs from the defaults; the answer of `loadConfig` may be given as it is. */
  readonly config?: Partial<ClientConfig>;
  /** Sent with each handshake. Node.js only. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Offered in this order. `roomcast.v1` gives resume, acknowledgements and latency in browsers. */
  readonly subprotocols?: readonly string[];
  /**
   * A credential, or what fetches one for each attempt. In Node.js it travels as `Authorization: Bearer`, in
   * browsers as the subprotocol after `bearer`. What a function throws fails the attempt.
   */
  readonly token?: string | (() => string | Promise<string>);
  /** Aborting it closes the client. */
  readonly signal?: AbortSignal;
  /** How many messages may wait while there is no connection. Default 100. */
  readonly offlineQueue?: number;
  /** Positions to go on from, as `positions` gave them; `"0"` is the beginning of a room. With `roomcast.v1`. */
  readonly resumeFrom?: Readonly<Record<string, string>>;
}

/** For one of several connections that are made one after another. */
export interface Alone {
  readonly policy: ReconnectPolicy;
  ended(wait: Wait | null): void;
}

/** Until when to wait. */
export interface WaitOptions {
  /** In milliseconds. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

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
  readonly #events: Emitter = new Emitter();
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #positions: Positions;
  readonly #session: Session;
  readonly #connection: PersistentConnection;
  #heartbeat: Heartbeat | null = null;
  #socket: ClientSocket | null = null;
  /** Whether there has been a connection since `connect`. */
  #wasOpen = false;
  /** Why there is no connection. */
  #closed: ConnectionClosedError = new ConnectionClosedError(1006, "not connected");

  /**
   * `alone`: how it shall be if somebody else makes the next connection.
   *
   * @throws TypeError or RangeError naming the option that is wrong.
   */
  constructor(
    runtime: Runtime,
    url: string | URL,
    options: WebSocketClientOptions,
    alone: Alone | null = null,
  ) {
    const { headers = {}, subprotocols: protocols = [], token } = options;
    const { offlineQueue = 100, resumeFrom = {} } = options;
    this.url = checkUrl(url);
    this.config = resolveClientConfig(options.config);
    if (!(offlineQueue >= 0)) {
      throw new RangeError(`offlineQueue must be 0 or more, not ${offlineQueue}.`);
    }
    this.#runtime = runtime;
    this.#options = options;
    const flow = { pause: () => this.#socket?.pause(), resume: () => this.#socket?.resume() };
    this.#inbox = new Inbox(this.config.maxQueueSize, flow, this.#events);
    this.#outbox = new Outbox(offlineQueue);
    this.#positions = new Positions(resumeFrom);
    const policy =
      alone?.policy ??
      new ReconnectPolicy(this.config, runtime.random, typeof token === "function");
    const to = { url: this.url, headers, protocols, token, policy, single: alone !== null };
    this.#connection = new PersistentConnection(runtime, to, this.config, this.#events, {
      opened: (socket) => this.#opened(socket),
      received: (message) => {
        this.#heartbeat?.heard();
        if (this.#socket?.protocol === SUBPROTOCOL) this.#session.receive(message);
        else this.#inbox.push({ message, info: {}, taken: null });
      },
      ponged: (id) => this.#heartbeat?.ponged(id),
      lost: () => {
        this.#heartbeat?.stop();
        this.#socket = null;
        this.#outbox.lost();
      },
      woke: () => this.#heartbeat?.beat(),
      finished: ({ code, reason }, error, wait) => {
        this.#closed = error ?? new ConnectionClosedError(code, reason);
        options.signal?.removeEventListener("abort", this.#abort);
        this.#outbox.end(this.#closed);
        this.#inbox.end(error);
        alone?.ended(wait);
        this.#events.emit("close", { code, reason });
      },
    });
    this.#session = new Session(
      {
        goodbye: (frame) => this.#connection.goodbye(frame),
        refresh: () => this.#refresh().catch((error) => this.#events.fail(error)),
        ponged: (id) => this.#heartbeat?.ponged(id),
      },
      this.#events,
      this.#inbox,
      this.#outbox,
      this.#positions,
    );
  }

  get state(): ClientState {
    return this.#connection.state;
  }

  get isConnected(): boolean {
    return this.state === "open";
  }

  /** The last round trip in milliseconds; null until one was measured. */
  get latency(): number | null {
    return this.#heartbeat?.latency ?? null;
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
    return this.#positions.taken;
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
    const { signal } = this.#options;
    signal?.throwIfAborted();
    // The end comes first; then it begins anew.
    if (this.state === "closing") await this.close();
    if (this.state === "idle" || this.state === "closed") {
      this.#inbox.begin();
      this.#wasOpen = false;
      signal?.addEventListener("abort", this.#abort);
    }
    try {
      await this.#connection.connect();
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  }

  /**
   * Closes for good. Resolves when the connection has ended, after `closeTimeoutMs` at the latest.
   *
   * @throws RangeError (as a rejection) for a code or reason that may not be sent. Defaults to 1000.
   */
  async close(code = 1000, reason = ""): Promise<void> {
    if (!this.#runtime.maySend(code)) {
      throw new RangeError(`code must be 1000 or from 3000 to 4999, not ${code}.`);
    }
    if (byteLength(reason) > MAX_REASON_BYTES) {
      throw new RangeError(`reason must be at most ${MAX_REASON_BYTES} bytes of UTF-8.`);
    }
    await this.#connection.close({ code, reason });
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
    await this.#send(this.#encode(message, false), null);
  }

  /** Sends any value as JSON, strings too. Else as `send`. */
  async sendJson(value: unknown): Promise<void> {
    await this.#send(this.#encode(value, true), null);
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
    const answer = this.#send(this.#encode(message, false), id);
    return this.#until({ ...options, timeoutMs }, answer, (reason) =>
      this.#outbox.answered(id, null, reason),
    );
  }

  /**
   * The next message, over reconnections.
   *
   * @throws WebSocketError (as a rejection) with code `timeout`, or `concurrent_recv` if somebody is waiting already.
   * @throws ConnectionClosedError (as a rejection) after the final close.
   */
  async recv(options: WaitOptions = {}): Promise<ReceivedMessage> {
    const { signal } = options;
    signal?.throwIfAborted();
    const taking = this.#inbox.take();
    const arrival = await this.#until(options, taking, (reason) => this.#inbox.cancel(reason));
    if (arrival === null) throw this.#closed;
    arrival.taken();
    return arrival.message;
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
    return parse(await this.recv(options), schema);
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
        value = await parse(message, schema);
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
    this.#socket = socket;
    const enveloped = socket.protocol === SUBPROTOCOL;
    // What cannot be sent any more shows in the end of the connection.
    const tell = (frame: object): void => void socket.send(JSON.stringify(frame)).catch(() => {});
    if (enveloped) tell({ type: "resume", rooms: this.#positions.resume() });
    const { pingIntervalMs } = this.config;
    const byFrame = enveloped ? (t: number) => tell({ type: "ping", t }) : null;
    const ping = socket.ping ?? byFrame;
    this.#heartbeat = null;
    if (pingIntervalMs !== null && ping !== null) {
      this.#heartbeat = new Heartbeat(this.#runtime, this.config, pingIntervalMs, {
        ping,
        dead: () => socket.terminate(),
        isPaused: () => this.#inbox.paused,
      });
      this.#heartbeat.beat();
    }
    if (this.#inbox.paused) socket.pause();
    this.#outbox.open(socket, enveloped);
    const reconnected = this.#wasOpen;
    this.#wasOpen = true;
    this.#events.emit("open", { reconnected });
  }

  readonly #abort = (): void => void this.#connection.close({ code: 1000, reason: "" });

  /** The token ends soon: a new one takes its place. */
  async #refresh(): Promise<void> {
    const { token } = this.#options;
    if (typeof token !== "function") return;
    const frame = { type: "auth", token: await token() };
    await this.#socket?.send(JSON.stringify(frame));
  }

  #encode(message: unknown, asJson: boolean): Outgoing {
    const outgoing = encodeMessage(message, asJson);
    const { maxMessageSize } = this.config;
    // A character is at most three bytes, so small messages need no measuring.
    if (outgoing.data.length * 3 > maxMessageSize) {
      const size = byteLength(outgoing.data);
      if (size > maxMessageSize) throw new MessageTooLargeError(size, maxMessageSize);
    }
    return outgoing;
  }

  async #send(outgoing: Outgoing, id: string | null): Promise<unknown> {
    if (["idle", "closing", "closed"].includes(this.state)) throw this.#closed;
    try {
      return await this.#outbox.send(outgoing, id, () => this.#closed);
    } catch (cause) {
      if (id !== null || cause instanceof WebSocketError) throw cause;
      throw new ConnectionClosedError(1006, "", { cause });
    }
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

async function parse(message: ReceivedMessage, schema?: StandardSchema): Promise<unknown> {
  const invalid = (why: string, cause?: unknown): WebSocketError =>
    new WebSocketError(`A message is not what was expected. ${why}`, {
      code: "invalid_message",
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(typeof message === "string" ? message : new TextDecoder().decode(message));
  } catch (cause) {
    throw invalid("It is not valid JSON.", cause);
  }
  if (schema === undefined) return value;
  const result = await schema["~standard"].validate(value);
  if (result.issues) throw invalid(describeIssues(result.issues));
  return result.value;
}

function checkUrl(url: string | URL): string {
  const text = String(url);
  if (/^wss?:\/\/[^#]+$/.test(text) && URL.canParse(text)) return text;
  // It may hold a secret, so it is not shown.
  throw new TypeError("url must be an address with ws:// or wss:// and no fragment.");
}

/** `crypto.randomUUID` is missing on pages without HTTPS. */
function makeId(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18))));
}
