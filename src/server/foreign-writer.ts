import { WebSocket } from "ws";
import type { Sequence } from "../fanout/sequence.ts";
import type { Writer } from "../fanout/writer.ts";

/**
 * Writes to a `ws` socket that did not come through our router. Its stream is not ours to write to, so
 * each message goes through `ws.send`, with data that was encoded once.
 */
export class ForeignWriter implements Writer {
  readonly #socket: WebSocket;
  readonly #maxBufferedBytes: number;

  constructor(socket: WebSocket, maxBufferedBytes: number) {
    this.#socket = socket;
    this.#maxBufferedBytes = maxBufferedBytes;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  write(sequence: Sequence, holes: readonly Sequence[] | null): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return true;
    if (this.#socket.bufferedAmount > this.#maxBufferedBytes) return false;
    const left = new Set(holes?.map((hole) => hole.frame));
    for (const frame of sequence.frames()) {
      // A socket that fails says so by its `close` event, not here.
      if (!left.has(frame)) this.#socket.send(frame.payload, { binary: frame.binary }, () => {});
    }
    return true;
  }

  finish(): void {}

  discard(): void {}
}
