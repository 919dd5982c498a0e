import type { FanOut } from "../fanout/fan-out.ts";
import { Recipient } from "../fanout/recipient.ts";
import { type Hole, lengthOf, type Sequence } from "../fanout/sequence.ts";
import type { Counters } from "../meters/counters.ts";
import { CloseCode, mayReturn } from "../protocol/close-codes.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import type { Frame } from "../protocol/frame.ts";
import type { ServerFrame } from "../protocol/roomcast-v1.ts";
import type { CloseInfo, ConnectionState } from "./connection.ts";
import type { SocketOwner } from "./socket-events.ts";
import type { Transport, TransportOwner } from "./transport.ts";

/** How long a client that cannot be reached has left after its close frame was sent, in milliseconds. */
const LAST_CHANCE_MS = 1000;

/**
 * Where a connection is in its life. Every transition is in one of the methods named here:
 *
 *     open ── #overflow ──▶ overflowed
 *       │                       │
 *       └────── closing ◀───────┘    a close frame is about to be sent, or the socket is gone
 *                  │
 *                ended               the socket has closed
 *                  ▼
 *               closed
 *
 * Frames are written while it is open. Overflowed, the reader was too slow and some were dropped: nothing but
 * the close may follow, since what came later would hide the hole.
 */
type Phase = "open" | "overflowed" | "closing" | "closed";

/** By `readyState`: what is not open yet never becomes a connection. */
const PHASES: readonly Phase[] = ["closing", "open", "closing", "closed"];

/** Our end of a WebSocket: the state it is in, and what may be sent in it. */
export abstract class Endpoint extends Recipient implements TransportOwner, SocketOwner {
  /** How frames leave. */
  readonly transport: Transport;
  readonly #fanOut: FanOut;
  #phase: Phase;
  /** How this side closed it, or, once it is closed, how it ended. */
  #closeInfo: CloseInfo | null = null;
  #terminating = false;
  #saidGoodbye = false;

  constructor(
    fanOut: FanOut,
    enveloped: boolean,
    readyState: number,
    makeTransport: (owner: Endpoint) => Transport,
  ) {
    super(enveloped);
    this.#fanOut = fanOut;
    this.transport = makeTransport(this);
    this.#phase = PHASES[readyState] ?? "closed";
  }

  /** The close frame was sent, or the peer is gone: nothing more can be sent. Called once; MUST NOT throw. */
  protected abstract left(info: CloseInfo): void;

  /** The socket has closed. Called once, after `left`; MUST NOT throw. */
  protected abstract gone(info: CloseInfo): void;

  /** Drops what the client sent and nobody has taken. MUST NOT throw. */
  protected abstract dropUnread(): void;

  abstract received(data: Buffer, binary: boolean, readElsewhere: boolean): void;

  abstract pinged(): void;

  abstract ponged(): void;

  abstract report(error: unknown, stage: string): void;

  /** What its instance counts. */
  get counters(): Counters {
    return this.#fanOut.counters;
  }

  get state(): ConnectionState {
    if (this.#phase === "open") return this.transport.isOpen ? "open" : "closing";
    return this.#phase === "closed" ? "closed" : "closing";
  }

  /** Whether what the client sends is listened to: neither did we close, nor has the reader been given up. */
  get isListening(): boolean {
    return this.#phase === "open";
  }

  /** How this side closed it, or how it ended; null while neither has happened. */
  get closeInfo(): CloseInfo | null {
    return this.#closeInfo;
  }

  /** Sends a frame of ours, in no envelope. */
  tell(frame: ServerFrame): void {
    this.deliverFrame(EncodedMessage.from(frame).plain);
  }

  /** Queues a frame as it is; one that is not open drops it. */
  deliverFrame(frame: Frame): void {
    if (this.#phase === "open") this.#fanOut.deliver(frame, this);
  }

  override write(sequence: Sequence, holes: readonly Hole[] | null): void {
    if (this.#phase !== "open") return;
    const { counters } = this.#fanOut;
    counters.writes++;
    counters.bytesSent += lengthOf(sequence, holes);
    if (!this.transport.write(sequence, holes)) this.#overflow();
  }

  override writeFailed(error: unknown): void {
    this.report(error, "write");
    this.#overflow();
  }

  /** Resolves when the reader has taken everything it was sent, or the connection has ended. */
  drained(): Promise<void> {
    this.flush();
    return this.transport.drained();
  }

  /** Says that the connection is about to be closed, and when the client should be back. */
  sayGoodbye(code: number, afterMs: number): void {
    if (!this.enveloped || this.#saidGoodbye || this.state !== "open") return;
    this.#saidGoodbye = true;
    this.tell({ type: "goodbye", code, reconnect: mayReturn(code), after_ms: afterMs });
  }

  /**
   * Closes for a reason of our own: the user may return. What the client sent and nobody has taken is dropped,
   * unless it is to be handled still.
   */
  end(code: number, reason: string, unread: "drop" | "handle" = "drop"): void {
    if (this.#phase !== "open" && this.#phase !== "overflowed") return;
    this.sayGoodbye(code, 0);
    this.#closeInfo = { code, reason };
    if (unread === "drop") this.dropUnread();
    this.transport.close(code, reason);
    // One that somebody else began to close says nothing more before it has closed.
    this.closing(code, reason);
  }

  /** Closes, and ends the connection soon even if the client does not answer. */
  endFirmly(code: number, reason: string): void {
    this.end(code, reason);
    if (this.#terminating) return;
    this.#terminating = true;
    setTimeout(() => this.transport.terminate(), LAST_CHANCE_MS).unref();
  }

  /** See `TransportOwner`. Also the way in here for a socket that is gone without a close frame. */
  closing(code: number, reason: string): void {
    if (this.#phase === "open") this.flush();
    if (this.#phase !== "open" && this.#phase !== "overflowed") return;
    this.transport.finish();
    this.#phase = "closing";
    this.left(this.#closeInfo ?? { code, reason });
  }

  /** The socket has closed. */
  ended(code: number, reason: string): void {
    if (this.#phase === "closed") return;
    this.closing(code, reason);
    this.#closeInfo ??= { code, reason };
    this.#phase = "closed";
    this.transport.discard();
    this.gone(this.#closeInfo);
  }

  /** Something of ours failed while it was told what came: nobody knows what state that left. */
  crashed(error: unknown): void {
    this.report(error, "connection");
    this.endFirmly(CloseCode.serverError, "internal error");
  }

  /** The reader is so slow that something was dropped. */
  #overflow(): void {
    if (this.#phase !== "open") return;
    this.#phase = "overflowed";
    this.#fanOut.counters.slowReaders++;
    this.transport.discard();
    // Not from within the flush: closing tells others.
    setImmediate(() => this.endFirmly(CloseCode.slowReader, "slow reader"));
  }
}
