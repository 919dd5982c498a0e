import { type ConnectionClosedError, WebSocketError } from "../protocol/errors.ts";
import { messageFrame, type Outgoing } from "./frames.ts";
import type { ClientSocket } from "./runtime.ts";

interface Entry {
  readonly outgoing: Outgoing;
  /** Of a request; null: a message that nobody answers. */
  readonly id: string | null;
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
  #enveloped = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Sends what has waited, in order. */
  open(socket: ClientSocket, enveloped: boolean): void {
    this.#socket = socket;
    this.#enveloped = enveloped;
    for (const [key, entry] of this.#entries) this.#transmit(key, entry, socket);
  }

  /** The connection is gone; what comes now waits for the next. */
  lost(): void {
    this.#socket = null;
  }

  /** There will be no other connection. */
  end(error: ConnectionClosedError): void {
    for (const entry of this.#entries.values()) entry.reject(error);
    this.#entries.clear();
  }

  /**
   * Sends a message, and resolves when the system has taken it and there is room for more; with an `id` sends a
   * request, and resolves with its answer.
   *
   * @throws what `away` makes (as a rejection) if it cannot be sent now and too many wait already.
   */
  send(outgoing: Outgoing, id: string | null, away: () => Error): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const entry = { outgoing, id, resolve, reject };
      const key = id ?? entry;
      if (this.#socket !== null) {
        this.#entries.set(key, entry);
        this.#transmit(key, entry, this.#socket);
      } else if (this.#entries.size < this.#limit) this.#entries.set(key, entry);
      else reject(away());
    });
  }

  /** The answer to a request, or why there is none. False if nobody waits for it. */
  answered(id: string, answer: unknown, error: unknown = null): boolean {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    if (error === null) entry?.resolve(answer);
    else entry?.reject(error);
    return entry !== undefined;
  }

  #transmit(key: unknown, entry: Entry, socket: ClientSocket): void {
    const { outgoing, id, resolve, reject } = entry;
    if (id === null) {
      this.#entries.delete(key);
      socket
        .send(this.#enveloped ? messageFrame(outgoing, id) : outgoing.data)
        .then(resolve, reject);
    } else if (this.#enveloped) {
      // Whether it was sent shows in its answer; until then it is sent again.
      socket.send(messageFrame(outgoing, id)).catch(() => {});
    } else {
      const message = "A request needs a server that speaks roomcast.v1.";
      this.answered(id, null, new WebSocketError(message, { code: "not_supported" }));
    }
  }
}
