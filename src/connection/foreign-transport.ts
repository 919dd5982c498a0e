import { WebSocket } from "ws";
import type { Hole, Sequence } from "../fanout/sequence.ts";
import type { Writer } from "./transport.ts";

/**
 * Writes to a `ws` socket that did not come through our router. Its stream is not ours to write to, so
 * each message goes through `ws.send`, with data that was encoded once.
 */
export class ForeignWriter implements Writer {
  readonly #socket: WebSocket;
  readonly #maxBufferedBytes: number;
  #granted = 0;

  constructor(socket: WebSocket, maxBufferedBytes: number) {
    this.#socket = socket;
    this.#maxBufferedBytes = maxBufferedBytes;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  write(sequence: Sequence, holes: readonly Hole[] | null): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return true;
    if (this.#socket.bufferedAmount > this.#maxBufferedBytes + this.#granted) return false;
    const holeOf = new Map(holes?.map((hole) => [hole.at.frame, hole]));
    for (const owed of sequence.frames()) {
      const hole = holeOf.get(owed);
      const frame = hole === undefined ? owed : hole.instead;
      // A socket that fails says so by its `close` event, not here.
      if (frame !== null) this.#socket.send(frame.payload, { binary: frame.binary }, () => {});
    }
    if (this.#socket.bufferedAmount === 0) this.#granted = 0;
    return true;
  }

  grant(bytes: number): void {
    this.#granted += bytes;
  }

  finish(): void {}

  discard(): void {}
}
