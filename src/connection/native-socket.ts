import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { ByteStream } from "./transport.ts";

/** Who is told about a socket; see `ServerConnection`. */
export interface SocketOwner {
  /** The last moment at which data may be written: a close frame is about to follow. */
  closing(code: number, reason: string): void;
  /** The stream has taken all it was given. */
  onDrain(): void;
}

/** What we look at in the parser of `ws`; a test notices if it changes. */
interface FrameReceiver {
  /** Bytes of a frame that is not complete. */
  readonly _bufferedBytes: number;
  /** 0: between frames. */
  readonly _state: number;
  /** The opcode of a message of which fragments are missing; 0: none. */
  readonly _fragmented: number;
}

const OWNER = Symbol("roomcast.owner");

type OwnedStream = Duplex & { [OWNER]?: SocketOwner | null };

/**
 * The `ws` socket of a connection that came through our router. `ws` does the handshake, parsing, ping
 * and close; data frames are written by us to the stream below it. Since `ws` answers a peer's close
 * inside its parser, `close` is where what is pending must be flushed.
 */
export class ServerSocket extends WebSocket {
  /** The parser of `ws`, which does not say otherwise whether a message has begun. */
  declare readonly _receiver: FrameReceiver | null;

  #stream: OwnedStream | null = null;
  #remoteAddress: string | undefined;

  /** The stream under this socket; set once, right after the upgrade. */
  get stream(): ByteStream {
    if (this.#stream === null) throw new TypeError("The socket has not been upgraded yet.");
    return this.#stream;
  }

  /** The client's address, as the upgrade found it. */
  get remoteAddress(): string | undefined {
    return this.#remoteAddress;
  }

  /** Whether a message or control frame has begun and not ended. */
  get receiving(): boolean {
    const receiver = this._receiver;
    if (receiver === null) return false;
    return receiver._fragmented !== 0 || receiver._state !== 0 || receiver._bufferedBytes > 0;
  }

  upgraded(stream: Duplex, remoteAddress: string | undefined): void {
    this.#stream = stream;
    this.#remoteAddress = remoteAddress;
    stream.on("drain", onDrain);
  }

  own(owner: SocketOwner): void {
    if (this.#stream !== null) this.#stream[OWNER] = owner;
  }

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === WebSocket.OPEN) {
      this.#stream?.[OWNER]?.closing(code ?? 1005, reason === undefined ? "" : String(reason));
    }
    super.close(code, reason);
  }
}

// One function for all streams, not a closure for each.
function onDrain(this: OwnedStream): void {
  this[OWNER]?.onDrain();
}
