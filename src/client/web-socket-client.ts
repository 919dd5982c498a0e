/// <reference lib="esnext.disposable" preserve="true" />
import { type ClientConfig, resolveClientConfig } from "../protocol/client-config.ts";
import { ConnectionClosedError } from "../protocol/errors.ts";
import type { SchemaOutput, StandardSchema } from "../protocol/standard-schema.ts";
import { Heartbeat } from "./connection/heartbeat.ts";
import { PersistentConnection } from "./connection/persistent-connection.ts";
import type { ClientState } from "./connection/phase.ts";
import { ReconnectPolicy } from "./connection/reconnect-policy.ts";
import { type ClientEvents, Emitter, type Listener } from "./events.ts";
import { encodeMessage } from "./messages/encode.ts";
import { checkValue, parseMessage } from "./messages/json.ts";
import { ReceiveQueue } from "./messages/receive-queue.ts";
import { SendQueue } from "./messages/send-queue.ts";
import { until } from "./messages/until.ts";
import {
  check,
  checkClose,
  checkUrl,
  type ReceivedMessage,
  resolveOptions,
  type WaitOptions,
  type WebSocketClientOptions,
} from "./options.ts";
import type { ClientParts, Succession } from "./parts.ts";
import { Rooms } from "./rooms.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { tell } from "./v1/greet.ts";
import { Positions } from "./v1/positions.ts";

/** How long a request may take by default; and at most, which is as long as servers remember ids. */
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_REQUEST_MS = 600_000;

/**
 * A client of any WebSocket server that stays connected. What it does when a connection is lost is in
 * `docs/client.md`. This is what is the same in every runtime.
 */
export class BaseClient implements AsyncIterable<ReceivedMessage> {
  /** Where it connects to. */
  readonly url: string;
  readonly config: ClientConfig;
  readonly #parts: ClientParts;
  readonly #connection: PersistentConnection;

  /**
   * `succession`: what there is in common with those before and after, if somebody else makes the next connection.
   *
   * @throws TypeError or RangeError naming the option that is wrong.
   * @internal
   */
  constructor(
    runtime: Runtime,
    url: string | URL,
    options: WebSocketClientOptions,
    succession?: Succession,
  ) {
    const { offlineQueue, ...limits } = resolveOptions(options, runtime.hasHeaders);
    this.url = checkUrl(url);
    this.config = resolveClientConfig(options.config, runtime.defaults);
    const { url: address, config } = this;
    const { resumeFrom = {}, token } = options;
    const events = new Emitter();
    const positions = new Positions(resumeFrom);
    const isRenewable = typeof token === "function";
    const policy = succession?.policy ?? new ReconnectPolicy(config, runtime.random, isRenewable);
    if (succession) succession.policy = policy;
    this.#parts = {
      ...{ runtime, url: address, options, config, events, policy, positions, succession },
      rooms: new Rooms(),
      heartbeat: new Heartbeat(runtime, config),
      sendQueue: new SendQueue(offlineQueue, config.maxMessageSize),
      receiveQueue: new ReceiveQueue({ ...config, ...limits }, events, positions, (error) => {
        this.#connection.close({ error, isNormal: false, fault: error });
      }),
    };
    this.#connection = new PersistentConnection(this.#parts);
  }

  get state(): ClientState {
    return this.#connection.state;
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
    return this.#connection.socket?.bufferedAmount ?? 0;
  }

  /**
   * Where the application stands in each durable room: after the last message it has taken. Given to a later
   * client as `resumeFrom`, that one goes on from here.
   */
  get positions(): Record<string, string> {
    return this.#parts.positions.taken();
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
    return this.#connection.connect();
  }

  /**
   * Closes for good. Resolves when the connection has ended, after `closeTimeoutMs` at the latest.
   *
   * @throws RangeError (as a rejection) for a code or reason that may not be sent. Defaults to 1000.
   */
  async close(code = 1000, reason = ""): Promise<void> {
    checkClose(code, reason);
    return this.#connection.close({
      error: new ConnectionClosedError(code, reason),
      isNormal: true,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Wants to be in a room, on this connection and on every later one, until `leave` was called as often. The server
   * has to let clients choose; what it refuses is told by `error`.
   */
  join(room: string): void {
    const { rooms, positions } = this.#parts;
    if (!rooms.join(room)) return;
    positions.join(room);
    tell(this.#connection.socket, { type: "join", room });
  }

  /** Does not want to be in a room any more. Once nobody here does, the server is told, also after a reconnect. */
  leave(room: string): void {
    const { rooms, positions } = this.#parts;
    if (!rooms.leave(room, positions.has(room))) return;
    // A component that is made anew leaves and joins at once, which is nothing to tell anybody.
    queueMicrotask(() => {
      if (!rooms.drop(room)) return;
      positions.leave(room);
      tell(this.#connection.socket, { type: "leave", room });
    });
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
    await this.#parts.sendQueue.send(encodeMessage(message));
  }

  /** Sends any value as JSON, strings too. Else as `send`. */
  async sendJson(value: unknown): Promise<void> {
    await this.#parts.sendQueue.send(encodeMessage(value, true));
  }

  /**
   * Sends a message that the server acknowledges when its handler is done, and resolves with what that gave, as the
   * schema makes it if there is one. It is sent again after a reconnect, and handled once. With `roomcast.v1`.
   *
   * @throws WebSocketError (as a rejection) with the server's code if it was refused, `timeout` after `timeoutMs`
   * (default 30,000, at most 600,000), `invalid_message` if the answer does not fit, `not_supported` without
   * `roomcast.v1`. Else as `send`.
   */
  request<T = unknown>(message: unknown, options?: WaitOptions): Promise<T>;
  request<S extends StandardSchema>(
    message: unknown,
    options: WaitOptions & { readonly schema: S },
  ): Promise<SchemaOutput<S>>;
  async request(
    message: unknown,
    options: WaitOptions & { readonly schema?: StandardSchema } = {},
  ): Promise<unknown> {
    const { timeoutMs = REQUEST_TIMEOUT_MS, signal, schema } = options;
    check("timeoutMs", timeoutMs, timeoutMs <= MAX_REQUEST_MS, `at most ${MAX_REQUEST_MS}`);
    const { runtime, sendQueue, receiveQueue } = this.#parts;
    const answer = until(runtime, { timeoutMs, signal }, () =>
      // Servers tell the id from those of the same user's other messages of the last minutes.
      sendQueue.request(encodeMessage(message), runtime.uniqueId()),
    );
    return checkValue(await receiveQueue.readFor(answer), schema);
  }

  /**
   * The next message, over reconnections.
   *
   * @throws WebSocketError (as a rejection) with code `timeout`, or `concurrent_recv` if somebody is waiting already.
   * @throws ConnectionClosedError (as a rejection) after the final close.
   */
  async recv(options: WaitOptions = {}): Promise<ReceivedMessage> {
    const { runtime, receiveQueue, positions } = this.#parts;
    const { message, step } = await until(runtime, options, () => receiveQueue.take());
    positions.took(step);
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
  async recvJson(
    options: WaitOptions & { readonly schema?: StandardSchema } = {},
  ): Promise<unknown> {
    return parseMessage(await this.recv(options), options.schema);
  }

  /**
   * The messages, over reconnections. A message counts as taken when the loop asks for the next. Ends at a final
   * close with 1000 or by `close`, and throws ConnectionClosedError at any other.
   */
  [Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage, undefined, undefined> {
    return this.#parts.receiveQueue.read();
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
  on<Name extends keyof ClientEvents>(event: Name, listener: Listener<Name>): () => void {
    const off = this.#parts.events.on(event, listener);
    if (event === "message") this.#parts.receiveQueue.listened();
    return off;
  }
}
