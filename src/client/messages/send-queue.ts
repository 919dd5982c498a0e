import { ConnectionClosedError, WebSocketError } from "../../protocol/errors.ts";
import { SUBPROTOCOL } from "../../protocol/roomcast-v1.ts";
import { type Deferred, deferred } from "../deferred.ts";
import { type ClientSocket, nothing } from "../runtime/runtime.ts";
import { messageFrame } from "../v1/message-frame.ts";
import { type Outgoing, tooLarge } from "./encode.ts";
import type { Waiting } from "./until.ts";

interface Entry extends Deferred<unknown> {
  readonly outgoing: Outgoing;
  /** Of a request; undefined: a message that nobody answers. */
  readonly id: string | undefined;
}

/**
 * What the application sends: at once while connected; kept up to a bound while not. A message is sent once, on
 * one connection. A request is sent again on the next one until it is answered: the server handles it once.
 */
export class SendQueue {
  readonly #limit: number;
  readonly #maxMessageSize: number;
  /** In order: messages that wait for a connection, and requests, by their ids, that wait for their answer. */
  readonly #entries: Map<unknown, Entry> = new Map();
  #socket: ClientSocket | undefined;
  /** Why nothing can be sent now or later; undefined: it can. */
  #ended: Error | undefined = new ConnectionClosedError(1006, "not connected");

  /**
   * @param limit how many may wait while there is no connection
   * @param maxMessageSize in bytes, of what goes on the wire
   */
  constructor(limit: number, maxMessageSize: number) {
    this.#limit = limit;
    this.#maxMessageSize = maxMessageSize;
  }

  /** There is going to be a connection. */
  begin(): void {
    this.#ended = undefined;
  }

  /** Sends what has waited, in order. Undefined: the connection is gone; what comes now waits for the next. */
  open(socket: ClientSocket | undefined): void {
    this.#socket = socket;
    for (const [key, entry] of this.#entries) this.#transmit(key, entry);
  }

  /** Nothing more is sent, and nobody is answered. */
  end(error: Error): void {
    this.#ended = error;
    for (const { reject } of this.#entries.values()) reject(error);
    this.#entries.clear();
  }

  /**
   * Sends a message, and resolves when the system has taken it and there is room for more. `id`: of a request.
   *
   * @throws MessageTooLargeError (as a rejection) if it is over `maxMessageSize` as it would be on the wire.
   * @throws ConnectionClosedError (as a rejection) if there will be no connection, if there is none now and too many
   * wait already, or if the message was lost with the connection.
   */
  async send(outgoing: Outgoing, id?: string): Promise<unknown> {
    if (this.#ended) throw this.#ended;
    if (!this.#socket && this.#entries.size >= this.#limit) {
      throw new ConnectionClosedError(1006, "too many messages wait");
    }
    const entry = { outgoing, id, ...deferred<unknown>() };
    const key = id ?? entry;
    this.#entries.set(key, entry);
    this.#transmit(key, entry);
    return entry.promise;
  }

  /** As `send`, but sent again on each connection until it is answered; resolves with the answer. */
  request(outgoing: Outgoing, id: string): Waiting<unknown> {
    return { promise: this.send(outgoing, id), cancel: (reason) => this.take(id)?.reject(reason) };
  }

  /** Takes away what waits under this, for whoever settles it; undefined: nothing does. */
  take(key: unknown): Entry | undefined {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    return entry;
  }

  #transmit(key: unknown, { outgoing, id, resolve, reject }: Entry): void {
    const socket = this.#socket;
    if (!socket) return;
    const isEnveloped = socket.protocol === SUBPROTOCOL;
    const data = isEnveloped ? messageFrame(outgoing, id) : outgoing.data;
    const fault =
      id && !isEnveloped
        ? new WebSocketError("A request needs roomcast.v1.", { code: "not_supported" })
        : tooLarge(data, this.#maxMessageSize);
    // Whether a request was sent shows in its answer; until then it is sent again.
    if (fault || !id) this.#entries.delete(key);
    if (fault) reject(fault);
    else if (id) socket.send(data).catch(nothing);
    else {
      socket.send(data).then(resolve, (cause) => {
        reject(new ConnectionClosedError(1006, "", { cause }));
      });
    }
  }
}
