import { ConnectionClosedError, WebSocketError } from "../protocol/errors.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { messageFrame, type Outgoing } from "./frames.ts";
import type { ClientSocket } from "./runtime.ts";

interface Entry {
  readonly outgoing: Outgoing;
  /** Of a request; undefined: a message that nobody answers. */
  readonly id: string | undefined;
  resolve(answer?: unknown): void;
  reject(error: unknown): void;
}

/**
 * What the application sends: at once while connected; kept up to a bound while not. A message is sent once, on
 * one connection. A request is sent again on the next one until it is answered: the server handles it once.
 */
export class Outbox {
  readonly #limit: number;
  /** In order: messages that wait for a connection, and requests, by their ids, that wait for their answer. */
  readonly #entries: Map<unknown, Entry> = new Map();
  #socket: ClientSocket | null = null;
  /** Why nothing can be sent now or later; null: it can. */
  #end: Error | null = new ConnectionClosedError(1006, "not connected");

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** There is going to be a connection. */
  begin(): void {
    this.#end = null;
  }

  /** Sends what has waited, in order. */
  open(socket: ClientSocket): void {
    this.#socket = socket;
    for (const [key, entry] of this.#entries) this.#transmit(key, entry, socket);
  }

  /** The connection is gone; what comes now waits for the next. */
  lost(): void {
    this.#socket = null;
  }

  /** Nothing more is sent, and nobody is answered. */
  end(error: Error): void {
    this.#end = error;
    for (const entry of this.#entries.values()) entry.reject(error);
    this.#entries.clear();
  }

  /**
   * Sends a message, and resolves when the system has taken it and there is room for more; with an `id` sends a
   * request, and resolves with its answer.
   *
   * @throws ConnectionClosedError (as a rejection) if there will be no connection, if there is none now and too many
   * wait already, or if the message was lost with the connection.
   */
  send(outgoing: Outgoing, id?: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#end !== null) throw this.#end;
      const entry = { outgoing, id, resolve, reject };
      const key = id ?? entry;
      if (this.#socket === null && this.#entries.size >= this.#limit) {
        throw new ConnectionClosedError(1006, "too many messages wait");
      }
      this.#entries.set(key, entry);
      if (this.#socket !== null) this.#transmit(key, entry, this.#socket);
    });
  }

  /** The answer to a request, or why there is none. False if nobody waits for it. */
  answered(id: string | undefined, answer: unknown, error?: unknown): boolean {
    const entry = this.#entries.get(id);
    if (error === undefined) entry?.resolve(answer);
    else entry?.reject(error);
    return this.#entries.delete(id);
  }

  #transmit(key: unknown, { outgoing, id, resolve, reject }: Entry, socket: ClientSocket): void {
    const enveloped = socket.protocol === SUBPROTOCOL;
    if (id !== undefined && !enveloped) {
      const message = "A request needs a server that speaks roomcast.v1.";
      this.answered(id, null, new WebSocketError(message, { code: "not_supported" }));
      return;
    }
    const sent = socket.send(enveloped ? messageFrame(outgoing, id) : outgoing.data);
    if (id === undefined) {
      this.#entries.delete(key);
      sent.then(resolve, (cause) => reject(new ConnectionClosedError(1006, "", { cause })));
    } else {
      // Whether it was sent shows in its answer; until then it is sent again.
      sent.catch(() => {});
    }
  }
}
