import { ConnectionFailedError } from "../../protocol/errors.ts";
import type { ClientSocket, SocketEvents, SocketOptions } from "./runtime.ts";

/** The part of a browser's WebSocket that is used. It can set no headers, nor ping, nor stop reading. */
interface NativeWebSocket {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** The part of a page or a worker that is used. */
interface BrowserGlobal {
  readonly WebSocket: new (url: string, protocols: string[]) => NativeWebSocket;
  readonly navigator?: { readonly onLine?: boolean };
  /** Absent in workers. */
  readonly document?: { readonly hidden: boolean };
  addEventListener?(type: string, listener: () => void, options: { signal: AbortSignal }): void;
}

/** Looked up when it is used: importing this file needs no browser. */
export const page = globalThis as unknown as BrowserGlobal;

const OPEN = 1;
/** A sender waits while more than this is on its way, and looks again so often. */
const HIGH_WATER_BYTES = 1_048_576;
const LOOK_EVERY_MS = 20;

/**
 * Opens the WebSocket of a browser, or of whatever else has one.
 *
 * @throws ConnectionFailedError if the browser refuses, which may be for a token that cannot be sent.
 */
export function openBrowserSocket(
  url: string,
  { subprotocols = [], token }: SocketOptions,
  { opened, received, ended }: SocketEvents,
): ClientSocket {
  // A page can set no header; the server takes the token from here and selects `bearer`, or another.
  const credential = token ? ["bearer", token] : [];
  const socket = construct(url, [...credential, ...subprotocols]);
  let isOver = false;
  const end = (code: number, reason: string): void => {
    isOver = true;
    const error = new ConnectionFailedError("No connection; browsers do not tell why.");
    ended(code, reason, { error });
  };
  socket.binaryType = "arraybuffer";
  socket.onopen = opened;
  socket.onmessage = ({ data }) => {
    received(typeof data === "string" ? data : new Uint8Array(data));
  };
  socket.onclose = ({ code, reason }) => end(code, reason);
  return {
    get protocol() {
      return socket.protocol;
    },
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    async send(data) {
      // Once it is closing, a browser would drop the message and say nothing.
      if (socket.readyState !== OPEN) throw new Error("closing");
      socket.send(data);
      while (socket.bufferedAmount > HIGH_WATER_BYTES) {
        if (isOver) throw new Error("closed");
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    },
    close: (code, reason) => socket.close(code, reason),
    // A browser waits for the peer's answer to a close; we do not.
    terminate: () => {
      socket.close();
      end(1006, "");
    },
  };
}

/** What browsers say may hold the subprotocols, and so the token: only its name is told. */
function construct(url: string, protocols: string[]): NativeWebSocket {
  try {
    return new page.WebSocket(url, protocols);
  } catch (error) {
    const { name } = error as Error;
    throw new ConnectionFailedError(
      `The browser refuses url, subprotocols or token (use base64url): ${name}.`,
    );
  }
}
