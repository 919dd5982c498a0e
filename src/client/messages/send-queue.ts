import {
  ConnectionClosedError,
  MessageTooLargeError,
  WebSocketError,
} from "../../protocol/errors.ts";
import { SUBPROTOCOL } from "../../protocol/roomcast-v1.ts";
import { type ClientSocket, nothing } from "../runtime/runtime.ts";
import { messageFrame } from "../v1/message-frame.ts";
import { byteLength, type Outgoing } from "./encode.ts";

interface Entry {
  readonly outgoing: Outgoing;
  /** Of a request; undefined: a message that nobody answers. */
  readonly id: string | undefined;
  readonly resolve: (answer?: unknown) => void;
  readonly reject: (error: unknown) => void;
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

  /** Sends what has waited, in order. */
  open(socket: ClientSocket): void {
    this.#socket = socket;
    for (const [key, entry] of this.#entries) this.#transmit(socket, key, entry);
  }

  /** The connection is gone; what comes now waits for the next. */
  lost(): void {
    this.#socket = undefined;
  }

  /** Nothing more is sent, and nobody is answered. */
  end(error: Error): void {
    this.#ended = error;
    for (const key of this.#entries.keys()) this.#settle(key)?.reject(error);
  }

  /**
   * Sends a message, and resolves when the system has taken it and there is room for more; with an `id` sends a
   * request, and resolves with its answer.
   *
   * @throws MessageTooLargeError (as a rejection) if it is over `maxMessageSize` as it would be on the wire.
   * @throws ConnectionClosedError (as a rejection) if there will be no connection, if there is none now and too many
   * wait already, or if the message was lost with the connection.
   */
  send(outgoing: Outgoing, id?: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw this.#ended;
      if (!this.#socket && this.#entries.size >= this.#limit) {
        throw new ConnectionClosedError(1006, "too many messages wait");
      }
      const entry = { outgoing, id, resolve, reject };
      const key = id ?? entry;
      this.#entries.set(key, entry);
      if (this.#socket) this.#transmit(this.#socket, key, entry);
    });
  }

  /** The answer to a request came. */
  resolve(id: string, answer: unknown): void {
    this.#settle(id)?.resolve(answer);
  }

  /** There is no answer to a request. False if nobody waits for it. */
  reject(id: string | undefined, error: unknown): boolean {
    const entry = this.#settle(id);
    entry?.reject(error);
    return entry !== undefined;
  }

  #settle(key: unknown): Entry | undefined {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    return entry;
  }

  #transmit(socket: ClientSocket, key: unknown, { outgoing, id, reject }: Entry): void {
    const isEnveloped = socket.protocol === SUBPROTOCOL;
    const data = isEnveloped ? messageFrame(outgoing, id) : outgoing.data;
    // A UTF-16 unit is at most three bytes, so most messages need no measuring.
    const size = data.length * 3 > this.#maxMessageSize ? byteLength(data) : 0;
    if (id && !isEnveloped) {
      const message = "A request needs a server that speaks roomcast.v1.";
      this.#settle(key)?.reject(new WebSocketError(message, { code: "not_supported" }));
    } else if (size > this.#maxMessageSize) {
      this.#settle(key)?.reject(new MessageTooLargeError(size, this.#maxMessageSize));
    } else if (id) {
      // Whether it was sent shows in its answer; until then it is sent again.
      socket.send(data).catch(nothing);
    } else {
      const entry = this.#settle(key);
      socket
        .send(data)
        .then(entry?.resolve, (cause) => reject(new ConnectionClosedError(1006, "", { cause })));
    }
  }
}
