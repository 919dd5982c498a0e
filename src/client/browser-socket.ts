import { ConnectionFailedError } from "../protocol/errors.ts";
import type { ClientSocket, SocketEvents } from "./runtime.ts";

/** The part of a browser's WebSocket that is used. It can set no headers, nor ping, nor stop reading. */
export interface NativeWebSocket {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** A sender waits while more than this is on its way, and looks again so often. */
const HIGH_WATER_BYTES = 1_048_576;
const LOOK_EVERY_MS = 20;

export class BrowserSocket implements ClientSocket {
  readonly #socket: NativeWebSocket;
  readonly #events: SocketEvents;
  #opened = false;
  #ended = false;

  constructor(socket: NativeWebSocket, events: SocketEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#opened = true;
      if (!this.#ended) events.opened();
    };
    socket.onmessage = ({ data }) => {
      const message = data instanceof ArrayBuffer ? new Uint8Array(data) : String(data);
      if (!this.#ended) events.received(message);
    };
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  async send(data: string | Uint8Array): Promise<void> {
    this.#socket.send(data);
    while (!this.#ended && this.bufferedAmount > HIGH_WATER_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  /** A browser waits for the peer's answer to a close; we do not. */
  terminate(): void {
    this.#socket.close();
    this.#end(1006, "");
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const error = new ConnectionFailedError("No connection; a browser does not tell why.");
    this.#events.ended(code, reason, this.#opened ? null : { error });
  }
}
