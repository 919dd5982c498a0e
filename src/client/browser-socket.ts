import { ConnectionFailedError } from "../protocol/errors.ts";
import type { ClientSocket, SocketEvents } from "./runtime.ts";

/** The part of a browser's WebSocket that is used. It can set no headers, nor ping, nor stop reading. */
export interface NativeWebSocket {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { code: number; reason: string }) => void,
  ): void;
}

/** A sender waits while more than this is on its way, and looks again so often. */
const HIGH_WATER_BYTES = 1_048_576;
const LOOK_EVERY_MS = 20;

const UNTOLD = "The connection could not be made, and the browser does not tell why.";

export class BrowserSocket implements ClientSocket {
  readonly #socket: NativeWebSocket;
  readonly #events: SocketEvents;
  #opened = false;
  #ended = false;
  readonly ping: null = null;

  constructor(socket: NativeWebSocket, events: SocketEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.#opened = true;
      if (!this.#ended) events.opened();
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.#ended) return;
      events.received(data instanceof ArrayBuffer ? new Uint8Array(data) : String(data));
    });
    socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason));
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  async send(data: string | Uint8Array): Promise<void> {
    this.#socket.send(data);
    while (!this.#ended && this.#socket.bufferedAmount > HIGH_WATER_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  pause(): void {}

  resume(): void {}

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
    this.#events.ended(
      code,
      reason,
      this.#opened ? null : { error: new ConnectionFailedError(UNTOLD) },
    );
  }
}
