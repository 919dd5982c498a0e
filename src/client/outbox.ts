import { ConnectionClosedError, MessageTooLargeError, WebSocketError } from "../protocol/errors.ts";
import { SUBPROTOCOL } from "../protocol/roomcast-v1.ts";
import { byteLength, messageFrame, type Outgoing } from "./frames.ts";
import { type ClientSocket, nothing } from "./runtime.ts";

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
export interface Outbox {
  /** There is going to be a connection. */
  begin(): void;
  /** Sends what has waited, in order. */
  open(socket: ClientSocket): void;
  /** The connection is gone; what comes now waits for the next. */
  lost(): void;
  /** Nothing more is sent, and nobody is answered. */
  end(error: Error): void;
  /**
   * Sends a message, and resolves when the system has taken it and there is room for more; with an `id` sends a
   * request, and resolves with its answer.
   *
   * @throws MessageTooLargeError (as a rejection) if it is over `maxMessageSize` as it would be on the wire.
   * @throws ConnectionClosedError (as a rejection) if there will be no connection, if there is none now and too many
   * wait already, or if the message was lost with the connection.
   */
  send(outgoing: Outgoing, id?: string): Promise<unknown>;
  /** The answer to a request, or why there is none. False if nobody waits for it. */
  answered(id: unknown, answer: unknown, error?: unknown): boolean;
}

export function createOutbox(limit: number, maxMessageSize: number): Outbox {
  /** In order: messages that wait for a connection, and requests, by their ids, that wait for their answer. */
  const entries: Map<unknown, Entry> = new Map();
  let socket: ClientSocket | undefined;
  /** Why nothing can be sent now or later; undefined: it can. */
  let ended: Error | undefined = new ConnectionClosedError(1006, "not connected");

  function answered(id: unknown, answer: unknown, error?: unknown): boolean {
    const entry = entries.get(id);
    // Signals are aborted with anything, also with null.
    if (error !== undefined) entry?.reject(error);
    else entry?.resolve(answer);
    return entries.delete(id);
  }

  function transmit(to: ClientSocket, key: unknown, entry: Entry): void {
    const { outgoing, id, resolve, reject } = entry;
    const enveloped = to.protocol === SUBPROTOCOL;
    const data = enveloped ? messageFrame(outgoing, id) : outgoing.data;
    const size = byteLength(data);
    if (id && !enveloped) {
      answered(
        key,
        null,
        new WebSocketError("A request needs roomcast.v1.", { code: "not_supported" }),
      );
    } else if (size > maxMessageSize) {
      answered(key, null, new MessageTooLargeError(size, maxMessageSize));
    } else if (id) {
      // Whether it was sent shows in its answer; until then it is sent again.
      to.send(data).catch(nothing);
    } else {
      entries.delete(key);
      to.send(data).then(resolve, (cause) =>
        reject(new ConnectionClosedError(1006, "", { cause })),
      );
    }
  }

  return {
    begin: () => {
      ended = undefined;
    },
    open: (opened) => {
      socket = opened;
      for (const [key, entry] of entries) transmit(opened, key, entry);
    },
    lost: () => {
      socket = undefined;
    },
    end: (error) => {
      ended = error;
      for (const { reject } of entries.values()) reject(error);
      entries.clear();
    },
    send: (outgoing, id) =>
      new Promise((resolve, reject) => {
        if (ended) throw ended;
        if (!socket && entries.size >= limit) {
          throw new ConnectionClosedError(1006, "too many messages wait");
        }
        const entry = { outgoing, id, resolve, reject };
        const key = id ?? entry;
        entries.set(key, entry);
        if (socket) transmit(socket, key, entry);
      }),
    answered,
  };
}
