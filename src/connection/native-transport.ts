import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { cutHoles, type Hole, type Sequence } from "../fanout/sequence.ts";
import { measureRoundTrip } from "./round-trip.ts";
import { type SocketOwner, tellOwner } from "./socket-events.ts";
import type { Transport, TransportOwner } from "./transport.ts";

/** What we look at in the parser of `ws`; a test notices if it changes. */
interface FrameReceiver {
  /** Bytes of a frame that is not complete. */
  readonly _bufferedBytes: number;
  /** 0: between frames. */
  readonly _state: number;
  /** The opcode of a message of which fragments are missing; 0: none. */
  readonly _fragmented: number;
}

/** The stream a connection's bytes go to; Node's sockets are such. */
export interface ByteStream {
  readonly writable: boolean;
  readonly writableNeedDrain: boolean;
  readonly writableLength: number;
  write(bytes: Uint8Array, callback?: () => void): boolean;
  cork(): void;
  uncork(): void;
}

const TRANSPORT = Symbol("roomcast.transport");

type OwnedStream = Duplex & { [TRANSPORT]?: NativeTransport };

/**
 * The `ws` socket of a connection that came through our router. `ws` does the handshake, parsing, ping and
 * close; frames are written by us to the stream below it. Since `ws` answers a peer's close inside its parser,
 * `close` is where what is pending must be flushed.
 */
export class NativeSocket extends WebSocket {
  /** The parser of `ws`, which does not say otherwise whether a message has begun. */
  declare readonly _receiver: FrameReceiver | null;

  #stream: OwnedStream | null = null;
  #owner: (TransportOwner & SocketOwner) | null = null;
  #remoteAddress: string | undefined;

  /** Called once, right after the upgrade; `remoteAddress` as the upgrade found it. */
  upgraded(stream: Duplex, remoteAddress: string | undefined): void {
    this.#stream = stream;
    this.#remoteAddress = remoteAddress;
  }

  /** Makes the transport of the connection this socket belongs to, which is told what happens from now on. */
  transport(owner: TransportOwner & SocketOwner, maxBufferedBytes: number): NativeTransport {
    const stream = this.#stream;
    if (stream === null) throw new TypeError("The socket has not been upgraded yet.");
    this.#owner = owner;
    const transport = new NativeTransport(this, stream, this.#remoteAddress, maxBufferedBytes);
    stream[TRANSPORT] = transport;
    stream.on("drain", onDrain);
    return transport;
  }

  /**
   * What happens goes to the owner directly: five listeners would cost each connection more than the rest of it.
   * Whoever listens besides is told as always.
   */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const owner = this.#owner;
    if (owner !== null) tellOwner(owner, event, args[0], args[1], false);
    return (this.listenerCount(event) > 0 && super.emit(event, ...args)) || owner !== null;
  }

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === WebSocket.OPEN) {
      this.#owner?.closing(code ?? 1005, reason === undefined ? "" : reason.toString());
    }
    super.close(code, reason);
  }
}

// One function for all streams, not a closure for each.
function onDrain(this: OwnedStream): void {
  this[TRANSPORT]?.onDrain();
}

/** RFC 6455 section 5.5.2: final, opcode 9, no payload; a server does not mask. */
const PING = Buffer.from([0x89, 0x00]);
const NOTHING = Buffer.alloc(0);
/** What keeping a piece takes besides its bytes. */
const PIECE_BYTES = 192;

/**
 * Writes frames to the stream itself. While the stream needs draining nothing is written to it: the shared
 * buffers are kept by reference, so many slow readers of one room hold one copy of what they have not read.
 */
export class NativeTransport implements Transport {
  readonly remoteAddress: string | undefined;
  readonly #socket: NativeSocket;
  readonly #stream: ByteStream;
  readonly #maxBufferedBytes: number;
  #kept: Uint8Array[] | null = null;
  #keptBytes = 0;
  #granted = 0;
  #waiting: (() => void)[] | null = null;

  constructor(
    socket: NativeSocket,
    stream: ByteStream,
    remoteAddress: string | undefined,
    maxBufferedBytes: number,
  ) {
    this.#socket = socket;
    this.#stream = stream;
    this.remoteAddress = remoteAddress;
    this.#maxBufferedBytes = maxBufferedBytes;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get bufferedAmount(): number {
    return this.#keptBytes + this.#stream.writableLength;
  }

  /** A message or a control frame. */
  get isReceiving(): boolean {
    const receiver = this.#socket._receiver;
    if (receiver === null) return false;
    return receiver._fragmented !== 0 || receiver._state !== 0 || receiver._bufferedBytes > 0;
  }

  write(sequence: Sequence, holes: readonly Hole[] | null): boolean {
    if (!this.isOpen) return true;
    const pieces = holes === null ? sequence.runs : cutHoles(sequence, holes);
    if (pieces.length === 0) return true;
    if (!this.#stream.writableNeedDrain) {
      this.#hand(pieces);
      if (this.#stream.writableLength === 0) this.#granted = 0;
      return true;
    }
    // What one turn handed over does not count, nor what is being sent now: only a backlog makes a reader slow.
    if (this.#backlog > this.#maxBufferedBytes + this.#granted) return false;
    this.#kept ??= [];
    for (const piece of pieces) {
      this.#kept.push(piece);
      this.#keptBytes += piece.length;
    }
    return true;
  }

  grant(bytes: number): void {
    this.#granted += bytes;
  }

  async drained(): Promise<void> {
    while (this.isOpen && this.#stream.writable && this.bufferedAmount > 0) {
      // Nothing says so when a stream has drained that was not full: what is written last is the one to ask.
      await new Promise<void>((resolve) => {
        if (this.#kept === null) this.#stream.write(NOTHING, () => resolve());
        else this.#awaitDrain(resolve);
      });
    }
  }

  finish(): void {
    const kept = this.#kept;
    if (kept === null) {
      this.#granted = 0;
      return;
    }
    this.#kept = null;
    this.#keptBytes = 0;
    this.#hand(kept);
  }

  discard(): void {
    this.#kept = null;
    this.#keptBytes = 0;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const resolve of waiting) resolve();
  }

  /** The stream has taken all it was given. */
  onDrain(): void {
    if (this.isOpen) this.finish();
    if (this.#kept !== null) return;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const resolve of waiting) resolve();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
    this.#socket.resume();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  ping(): void {
    if (this.isOpen) this.#stream.write(PING);
  }

  roundTrip(): Promise<number> {
    return measureRoundTrip(this.#socket);
  }

  get #backlog(): number {
    return this.#keptBytes + PIECE_BYTES * (this.#kept?.length ?? 0);
  }

  /** Calls `resolve` when the stream has drained or is given up. */
  #awaitDrain(resolve: () => void): void {
    this.#waiting ??= [];
    this.#waiting.push(resolve);
  }

  #hand(pieces: readonly Uint8Array[]): void {
    if (!this.#stream.writable) return;
    const only = pieces.length === 1 ? pieces[0] : undefined;
    if (only !== undefined) {
      this.#stream.write(only);
      return;
    }
    this.#stream.cork();
    for (const piece of pieces) this.#stream.write(piece);
    this.#stream.uncork();
  }
}
