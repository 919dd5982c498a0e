import { useEffect, useMemo, useState } from "react";
// By the package's own name, so that the bundler of the application chooses the build for its runtime.
import {
  type ClientState,
  ConnectionFailedError,
  WebSocketClient,
  type WebSocketClientOptions,
} from "roomcast/client";

/** A client, and what a component shows of it. */
export interface Roomcast {
  readonly client: WebSocketClient;
  readonly state: ClientState;
  /** Why it is closed, or why the last attempt failed; null while all is well. */
  readonly error: Error | null;
}

/** What a component shows of a room. */
export interface Room<T> {
  /** The latest messages, oldest first. */
  readonly messages: readonly T[];
  /** How often messages of the room were lost, so that what is shown has to be loaded anew. */
  readonly gaps: number;
}

/** How a room is entered and read. */
export interface RoomOptions {
  /** How many messages to keep. Default 100. */
  readonly limit?: number;
  /** Asks the server to join, at each connection. Default: as `roomcast serve` wants it. */
  readonly join?: (client: WebSocketClient, room: string) => unknown;
  /** Asks the server to leave. Default: as `roomcast serve` wants it. */
  readonly leave?: (client: WebSocketClient, room: string) => unknown;
}

/** How long to wait before a first attempt is made again, in milliseconds. */
const FIRST_RETRY_MS = 2000;

/** Clients whose component has gone, which may be only for a moment. */
const leaving: WeakMap<WebSocketClient, ReturnType<typeof setTimeout>> = new WeakMap();

/**
 * Keeps a client connected while the component is there. One socket, however often effects run: in strict mode the
 * same client stays. Another `url` makes another client; `options` are those of its first render. Where the first
 * attempt fails it is made again, as long as the component is there.
 */
export function useRoomcast(url: string, options?: WebSocketClientOptions): Roomcast {
  const client = useMemo(() => new WebSocketClient(url, options), [url]);
  const [shown, setShown] = useState<Omit<Roomcast, "client">>({ state: "idle", error: null });
  useEffect(() => {
    let retry: ReturnType<typeof setTimeout> | undefined;
    let gone = false;
    const show = (error: Error | null): void => setShown({ state: client.state, error });
    const open = (): void => {
      client.connect().catch((error: Error) => {
        show(error);
        // Not where the client was closed, nor where the credential was refused.
        const failed = error instanceof ConnectionFailedError;
        if (failed && !gone) retry = setTimeout(open, FIRST_RETRY_MS);
      });
      show(null);
    };
    const offs = [
      client.on("open", () => show(null)),
      client.on("reconnecting", () => show(null)),
      client.on("close", () => setShown(({ error }) => ({ state: client.state, error }))),
      client.on("error", show),
    ];
    clearTimeout(leaving.get(client));
    leaving.delete(client);
    open();
    return () => {
      for (const off of offs) off();
      clearTimeout(retry);
      gone = true;
      leaving.set(
        client,
        setTimeout(() => void client.close()),
      );
    };
  }, [client]);
  return { client, ...shown };
}

/**
 * Keeps a client in a room while the component is there, and gives the room's messages, parsed where they are JSON.
 * The client has to speak `roomcast.v1`, which says what room a message is for.
 */
export function useRoom<T = unknown>(
  client: WebSocketClient,
  room: string,
  options: RoomOptions = {},
): Room<T> {
  const { limit = 100, join = joinServe, leave = leaveServe } = options;
  const [shown, setShown] = useState<Room<T>>({ messages: [], gaps: 0 });
  useEffect(() => {
    setShown({ messages: [], gaps: 0 });
    let entered = false;
    const enter = (): void => {
      entered = true;
      join(client, room);
    };
    const offs = [
      client.on("open", enter),
      client.on("message", (message, info) => {
        if (info.room !== room) return;
        setShown(({ messages, gaps }) => {
          const parsed = parse<T>(message);
          const latest = [...messages, parsed];
          return { messages: latest.slice(Math.max(0, latest.length - limit)), gaps };
        });
      }),
      client.on("gap", (event) => {
        if (event.room === room) setShown(({ messages, gaps }) => ({ messages, gaps: gaps + 1 }));
      }),
    ];
    if (client.isConnected) enter();
    return () => {
      for (const off of offs) off();
      // Also while it is away: it would resume the room. What cannot be sent has no room to leave.
      if (entered) Promise.resolve(leave(client, room)).catch(() => {});
    };
  }, [client, room, limit]);
  return shown;
}

function parse<T>(message: string | Uint8Array): T {
  if (typeof message !== "string") return message as T;
  try {
    return JSON.parse(message);
  } catch {
    return message as T;
  }
}

function joinServe(client: WebSocketClient, room: string): void {
  client.sendJson({ type: "join", room }).catch(() => {});
}

function leaveServe(client: WebSocketClient, room: string): void {
  client.sendJson({ type: "leave", room }).catch(() => {});
}
