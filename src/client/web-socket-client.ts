import { type ClientConfig, resolveClientConfig } from "../protocol/client-config.ts";
import { ConnectionClosedError, WebSocketError } from "../protocol/errors.ts";
import type { SchemaOutput, StandardSchema } from "../protocol/standard-schema.ts";
import { assemble, type ClientParts } from "./client-parts.ts";
import type { ClientEvents } from "./events.ts";
import { byteLength, encodeMessage } from "./frames.ts";
import { parseMessage } from "./json.ts";
import type { WaitOptions, WebSocketClientOptions } from "./options.ts";
import type { ClientState, Succession } from "./persistent-connection.ts";
import { nothing, type ReceivedMessage, type Runtime } from "./runtime.ts";

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
  readonly #parts: ClientParts;

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
    if (options.headers && !runtime.hasHeaders) {
      throw new TypeError("headers cannot be set here; use token.");
    }
    this.url = checkUrl(url);
    this.config = resolveClientConfig(options.config);
    this.#runtime = runtime;
    this.#parts = assemble(runtime, this.url, this.config, options, succession);
  }

  get state(): ClientState {
    return this.#parts.connection.state;
  }

  get isConnected(): boolean {
    return this.state === "open";
  }

  /** The last round trip in milliseconds; null until one was measured. */
  get latency(): number | null {
    return this.#parts.heartbeat.latency;
  }

  /** Bytes that were sent and that the system has not taken yet. */
  get bufferedAmount(): number {
    return this.#parts.socket?.bufferedAmount ?? 0;
  }

  /**
   * Where the application stands in each durable room: after the last message it has taken. Given to a later
   * client as `resumeFrom`, that one goes on from here.
   */
  get positions(): Record<string, string> {
    return this.#parts.places.taken();
  }

  /**
   * Connects. The first attempt is not repeated; while the client waits to reconnect, tries at once. After the
   * end it begins anew.
   *
   * @throws ConnectionFailedError (as a rejection) if it fails.
   * @throws AuthenticationError (as a rejection) if the credential was refused, and a new one too.
   * @throws ConnectionClosedError (as a rejection) if `close` is called meanwhile.
   */
  connect(): Promise<void> {
    return this.#parts.connection.connect();
  }

  /**
   * Closes for good. Resolves when the connection has ended, after `closeTimeoutMs` at the latest.
   *
   * @throws RangeError (as a rejection) for a code or reason that may not be sent. Defaults to 1000.
   */
  async close(code = 1000, reason = ""): Promise<void> {
    const size = byteLength(reason);
    if ((code === 1000 || (code >= 3000 && code <= 4999)) && size <= MAX_REASON_BYTES) {
      return this.#parts.connection.close(new ConnectionClosedError(code, reason));
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
   * @throws MessageTooLargeError (as a rejection) if it is over `maxMessageSize`, in its frame where there is one.
   * @throws ConnectionClosedError (as a rejection) if there is no connection and none will be made, if too many
   * messages wait, or if the connection was lost before the system took it.
   */
  async send(message: unknown): Promise<void> {
    await this.#parts.outbox.send(encodeMessage(message));
  }

  /** Sends any value as JSON, strings too. Else as `send`. */
  async sendJson(value: unknown): Promise<void> {
    await this.#parts.outbox.send(encodeMessage(value, true));
  }

  /**
   * Sends a message that the server acknowledges when its handler is done, and resolves with what that gave. It
   * is sent again after a reconnect, and handled once. With `roomcast.v1`.
   *
   * @throws WebSocketError (as a rejection) with the server's code if it was refused, `timeout` after `timeoutMs`
   * (default 30,000, at most 600,000), `not_supported` without `roomcast.v1`. Else as `send`.
   */
  async request(message: unknown, options: WaitOptions = {}): Promise<unknown> {
    const { timeoutMs = REQUEST_TIMEOUT_MS, signal } = options;
    const { outbox } = this.#parts;
    if (timeoutMs > MAX_REQUEST_TIMEOUT_MS) {
      throw new RangeError(
        `timeoutMs must be at most ${MAX_REQUEST_TIMEOUT_MS}, not ${timeoutMs}.`,
      );
    }
    signal?.throwIfAborted();
    // Servers tell it from the ids of the same user's other messages of the last minutes.
    const id = String(this.#runtime.random());
    const answer = outbox.send(encodeMessage(message), id);
    return this.#until({ timeoutMs, signal }, answer, (reason) => {
      outbox.answered(id, null, reason);
    });
  }

  /**
   * The next message, over reconnections.
   *
   * @throws WebSocketError (as a rejection) with code `timeout`, or `concurrent_recv` if somebody is waiting already.
   * @throws ConnectionClosedError (as a rejection) after the final close.
   */
  async recv(options: WaitOptions = {}): Promise<ReceivedMessage> {
    const { inbox, places } = this.#parts;
    options.signal?.throwIfAborted();
    const { message, info } = await this.#until(options, inbox.take(), inbox.cancel);
    places.took(info);
    return message;
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
    return this.#parts.inbox.read();
  }

  /**
   * The messages, parsed, and as the schema makes them if there is one. What is no JSON or does not fit is skipped
   * and told by the `error` event.
   */
  json(): AsyncGenerator<unknown, undefined, undefined>;
  json<S extends StandardSchema>(schema: S): AsyncGenerator<SchemaOutput<S>, undefined, undefined>;
  async *json(schema?: StandardSchema): AsyncGenerator<unknown, undefined, undefined> {
    for await (const message of this) {
      try {
        yield await parseMessage(message, schema);
      } catch (error) {
        this.#parts.events.fail(error);
      }
    }
  }

  /** Adds a listener; returns the function that takes it away again. */
  on<Name extends keyof ClientEvents>(
    event: Name,
    listener: (...args: ClientEvents[Name]) => unknown,
  ): () => void {
    const { events, inbox } = this.#parts;
    const off = events.on(event, listener);
    if (event === "message") inbox.listened();
    return off;
  }

  /** `work`, unless the time is over or the signal aborted before; then `cancel` has to make it reject. */
  async #until<T>(
    { timeoutMs = Infinity, signal }: WaitOptions,
    work: Promise<T>,
    cancel: (reason: unknown) => void,
  ): Promise<T> {
    const abort = (): void => cancel(signal?.reason);
    const late = (): void => {
      cancel(new WebSocketError(`Nothing came within ${timeoutMs} ms.`, { code: "timeout" }));
    };
    // No timer runs for longer than 24 days: whoever would wait so long waits for ever.
    const stop = timeoutMs < 2 ** 31 ? this.#runtime.schedule(timeoutMs, late) : nothing;
    signal?.addEventListener("abort", abort);
    try {
      return await work;
    } finally {
      stop();
      signal?.removeEventListener("abort", abort);
    }
  }
}

function checkUrl(url: string | URL): string {
  const text = String(url);
  if (/^wss?:\/\/[^#]+$/.test(text) && URL.canParse(text)) return text;
  // It may hold a secret, so it is not shown.
  throw new TypeError("url must be ws: or wss: without a fragment.");
}
