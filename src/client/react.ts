import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
// By the package's own name, so that the bundler of the application chooses the build for its runtime.
import {
  type ClientState,
  ConnectionFailedError,
  type SchemaOutput,
  type StandardSchema,
  WebSocketClient,
  type WebSocketClientOptions,
} from "roomcast/client";
import { parseMessage } from "./messages/json.ts";
import { page } from "./runtime/browser-socket.ts";

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
  /** What was wrong with the last message that did not fit the schema, and is not shown; null: all did. */
  readonly error: Error | null;
}

/** How a room is entered and read. */
export interface RoomOptions {
  /** How many messages to keep. Default 100. */
  readonly limit?: number | undefined;
  /** Whether to ask the server to join, by `client.join`. Default true; false where the server joins by itself. */
  readonly join?: boolean | undefined;
}

interface Shown<T> extends Room<T> {
  readonly client: WebSocketClient;
  readonly room: string;
}

/** Clients whose component has gone, which may be only for a moment. */
const leaving: WeakMap<WebSocketClient, ReturnType<typeof setTimeout>> = new WeakMap();

/**
 * Keeps a client connected while the component is there. One socket, however often effects run: in strict mode the
 * same client stays. Another `url` makes another client; `options` are those of its first render. Where the first
 * attempt fails it is made again, with the delays of the reconnection, as long as the component is there.
 */
export function useRoomcast(url: string, options?: WebSocketClientOptions): Roomcast {
  const client = useMemo(() => new WebSocketClient(url, options), [url]);
  const [failed, setFailed] = useState<{ by: WebSocketClient; error: Error | null }>();
  const subscribe = useCallback(
    (changed: () => void) => {
      const offs = (["open", "reconnecting", "close"] as const).map((event) =>
        client.on(event, changed),
      );
      return () => {
        for (const off of offs) off();
      };
    },
    [client],
  );
  const state = useSyncExternalStore(
    subscribe,
    () => client.state,
    () => "idle" as const,
  );
  useEffect(() => {
    const stop = keepConnected(client, (error) => setFailed({ by: client, error }));
    clearTimeout(leaving.get(client));
    leaving.delete(client);
    return () => {
      stop();
      leaving.set(
        client,
        setTimeout(() => void client.close()),
      );
    };
  }, [client]);
  const error = failed?.by === client && state !== "open" ? failed.error : null;
  return { client, state, error };
}

/** Connects, and tries again where the first attempt fails. `show` is told what is wrong, and when nothing is. */
function keepConnected(client: WebSocketClient, show: (error: Error | null) => void): () => void {
  const { reconnectBackoffBaseMs: base, reconnectBackoffMaxMs: max } = client.config;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let attempts = 0;
  let gone = false;
  const open = (): void => {
    clearTimeout(retry);
    client.connect().then(
      () => {
        attempts = 0;
      },
      (error: Error) => {
        show(error);
        // Not where the client was closed, nor where the credential was refused, nor where it goes on by itself.
        if (gone || client.state !== "closed" || !(error instanceof ConnectionFailedError)) return;
        const delayMs = Math.min(max, base * 2 ** attempts++);
        retry = setTimeout(open, delayMs * (1 - client.config.reconnectJitter * Math.random()));
      },
    );
    // Whoever shows the state sees that it connects.
    show(null);
  };
  const offs = [
    client.on("open", () => show(null)),
    // What is told while it is open is about something else.
    client.on("error", (error) => {
      if (client.state !== "open") show(error);
    }),
  ];
  const watching = new AbortController();
  const online = (): void => {
    if (client.state === "closed" && retry !== undefined) open();
  };
  page.addEventListener?.("online", online, watching);
  open();
  return () => {
    for (const off of offs) off();
    watching.abort();
    clearTimeout(retry);
    gone = true;
  };
}

/**
 * Keeps a client in a room while the component is there, and gives the room's messages: what a schema makes of them,
 * else parsed where they are JSON. Several components may be in one room. The client has to speak `roomcast.v1`, which
 * says what room a message is for.
 */
export function useRoom<S extends StandardSchema>(
  client: WebSocketClient,
  room: string,
  options: RoomOptions & { readonly schema: S },
): Room<SchemaOutput<S>>;
export function useRoom<T = unknown>(
  client: WebSocketClient,
  room: string,
  options?: RoomOptions,
): Room<T>;
export function useRoom(
  client: WebSocketClient,
  room: string,
  options: RoomOptions & { readonly schema?: StandardSchema } = {},
): Room<unknown> {
  const { limit = 100, join = true, schema } = options;
  const empty = useMemo<Shown<unknown>>(
    () => ({ client, room, messages: [], gaps: 0, error: null }),
    [client, room],
  );
  const [last, setShown] = useState(empty);
  // What is left of another room is not of this one.
  const shown = last.client === client && last.room === room ? last : empty;
  const current = useRef({ limit, schema });
  useEffect(() => {
    current.current = { limit, schema };
  });
  useEffect(() => {
    setShown(empty);
    let gone = false;
    const change = (next: (shown: Shown<unknown>) => Partial<Room<unknown>>): void => {
      if (!gone) setShown((before) => ({ ...before, ...next(before) }));
    };
    const add = (message: unknown): void =>
      change(({ messages }) => ({
        messages: lastOf([...messages, message], current.current.limit),
      }));
    const fail = (error: Error): void => change(() => ({ error }));
    // A schema may take its time, but messages stay in order.
    let checked: Promise<unknown> = Promise.resolve();
    const offs = [
      client.on("message", (message, info) => {
        if (info.room !== room) return;
        const { schema } = current.current;
        if (!schema) add(parse(message));
        else checked = checked.then(() => parseMessage(message, schema)).then(add, fail);
      }),
      client.on("gap", (event) => {
        if (event.room === room) change(({ gaps }) => ({ gaps: gaps + 1 }));
      }),
    ];
    if (join) client.join(room);
    return () => {
      gone = true;
      for (const off of offs) off();
      if (join) client.leave(room);
    };
  }, [client, room, join, empty]);
  const { messages, gaps, error } = shown;
  const latest = useMemo(() => lastOf(messages, limit), [messages, limit]);
  return { messages: latest, gaps, error };
}

function lastOf<T>(all: readonly T[], limit: number): readonly T[] {
  return all.length > limit ? all.slice(all.length - limit) : all;
}

function parse(message: string | Uint8Array): unknown {
  if (typeof message !== "string") return message;
  try {
    return JSON.parse(message);
  } catch {
    return message;
  }
}
