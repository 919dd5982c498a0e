import { WebSocket } from "ws";
import type { Hole, Sequence } from "../fanout/sequence.ts";
import { measureRoundTrip } from "./round-trip.ts";
import type { Transport, TransportOwner } from "./transport.ts";

/**
 * Writes to a `ws` socket that did not come through our router. Its stream is not ours to write to, so each
 * message goes through `ws.send`, with data that was encoded once; what waits for the reader waits in `ws`.
 */
export class ForeignTransport implements Transport {
  readonly #socket: WebSocket;
  readonly #owner: TransportOwner;
  readonly #maxBufferedBytes: number;
  readonly #remoteAddress: string | undefined;
  #granted = 0;
  /** What one turn handed over to a socket that had taken everything before; it makes no reader slow. */
  #oneTurn = 0;
  /** Messages given to the socket that it has not written yet. */
  #unwritten = 0;
  #waiting: (() => void)[] = [];
  /** A socket that fails says so by its `close` event, not here. */
  readonly #written = (): void => {
    this.#unwritten--;
    if (this.#unwritten === 0) this.#release();
  };

  constructor(
    socket: WebSocket,
    owner: TransportOwner,
    maxBufferedBytes: number,
    remoteAddress: string | undefined,
  ) {
    this.#socket = socket;
    this.#owner = owner;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#remoteAddress = remoteAddress;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get remoteAddress(): string | undefined {
    return this.#remoteAddress ?? addressOf(this.#socket);
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  /** Nobody tells. */
  get isReceiving(): boolean {
    return false;
  }

  write(sequence: Sequence, holes: readonly Hole[] | null): boolean {
    if (!this.isOpen) return true;
    const before = this.#socket.bufferedAmount;
    if (before - this.#oneTurn > this.#maxBufferedBytes + this.#granted) return false;
    const instead = new Map(holes?.map((hole) => [hole.at, hole.instead]));
    for (const node of sequence.nodes()) {
      const frame = instead.has(node) ? instead.get(node) : node.frame;
      if (frame === null || frame === undefined) continue;
      this.#unwritten++;
      this.#socket.send(frame.payload, { binary: frame.binary }, this.#written);
    }
    const after = this.#socket.bufferedAmount;
    if (before === 0) this.#oneTurn = after;
    if (after === 0) this.#granted = 0;
    return true;
  }

  grant(bytes: number): void {
    this.#granted += bytes;
  }

  async drained(): Promise<void> {
    if (!this.isOpen || this.#unwritten === 0) return;
    await new Promise<void>((resolve) => void this.#waiting.push(resolve));
  }

  finish(): void {}

  discard(): void {
    this.#release();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(code: number, reason: string): void {
    if (this.isOpen) this.#owner.closing(code, reason);
    this.#socket.close(code, reason);
    this.#socket.resume();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  ping(): void {
    if (this.isOpen) this.#socket.ping();
  }

  roundTrip(): Promise<number> {
    return measureRoundTrip(this.#socket);
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Where `ws` keeps the stream under a socket, if it does. */
function addressOf(socket: WebSocket & { _socket?: unknown }): string | undefined {
  const stream: unknown = socket._socket;
  if (typeof stream !== "object" || stream === null || !("remoteAddress" in stream))
    return undefined;
  return typeof stream.remoteAddress === "string" ? stream.remoteAddress : undefined;
}
