import type * as client from "../../src/client.ts";

/** What a test of the client needs of where it runs: the client itself, servers, and a hand on the network. */
export interface Place {
  readonly api: Pick<
    typeof client,
    | "WebSocketClient"
    | "connect"
    | "ConnectionClosedError"
    | "ConnectionFailedError"
    | "MessageTooLargeError"
    | "WebSocketError"
  >;
  /** A route of a Roomcast server (see `server.ts`), by way of a proxy. */
  readonly url: string;
  /** A plain `ws` server that echoes. */
  readonly echoUrl: string;
  /** Nobody listens there. */
  readonly deadUrl: string;
  /** What the network between the client and the Roomcast server does. */
  network(state: "cut" | "blackHole" | "hold" | "restore"): Promise<void>;
  /** Sends to a room, and resolves when that is stored. */
  publish(room: string, text: string): Promise<void>;
  /** What the server was asked by clients with this name, in order. */
  asked(name: string): Promise<readonly string[]>;
}

/** Quick enough for a test, and patient with a machine that is not. */
export const QUICK = {
  reconnectBackoffBaseMs: 20,
  reconnectBackoffMaxMs: 200,
  reconnectMaxAttempts: 0,
} as const;
export const V1: readonly string[] = ["roomcast.v1"];

export function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`got ${a}, not ${b}`);
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not reject");
}

/** Resolves with the next event of this name. */
export function next<E extends keyof client.ClientEvents>(
  socket: client.BaseClient,
  event: E,
): Promise<client.ClientEvents[E][0]> {
  return new Promise((resolve) => {
    const off = socket.on(event, (...[first]) => {
      off();
      resolve(first);
    });
  });
}

let names = 0;
export const newName = (): string => `${"process" in globalThis ? "node" : "page"}${++names}`;
