import type { ConnectionClosedError } from "../../protocol/errors.ts";
import type { Deferred } from "../deferred.ts";
import type { ClientSocket } from "../runtime/runtime.ts";
import type { Wait } from "./reconnect-policy.ts";

/** What a client is doing. */
export type ClientState =
  /** `connect` was not called yet. */
  | "idle"
  | "connecting"
  | "open"
  /** Lost; waits for the next attempt, or makes it. */
  | "reconnecting"
  | "closing"
  /** For good, unless `connect` is called again. */
  | "closed";

/** What a connection is in, with all that belongs to it and to nothing else. */
export type Phase = { readonly state: "idle" | "closed" } | Trying | Open | Closing;

/** An attempt to connect, from when it is planned. */
export interface Attempt {
  /** `connecting`: nothing was tried before it, since `connect` was called. */
  readonly state: "connecting" | "reconnecting";
  /** Settles as the attempt does. */
  readonly made: Deferred<void>;
}

/** Until an attempt is due, or has come to its end. */
export interface Trying extends Attempt {
  /** What it waits for; undefined: it is being made, for as long as its timer runs. */
  readonly wait: Wait | undefined;
  readonly cancelTimer: () => void;
  /** Undefined: not yet. */
  handshake: ClientSocket | undefined;
}

export interface Open {
  readonly state: "open";
  readonly socket: ClientSocket;
}

/** This side has closed; until the other side answers, or its timer is over. */
export interface Closing {
  readonly state: "closing";
  readonly socket: ClientSocket;
  readonly end: End;
  readonly cancelTimer: () => void;
}

/** How it ends for good. */
export interface End {
  readonly error: ConnectionClosedError;
  /** Iterations just end. */
  readonly isNormal: boolean;
  /** What `error` listeners are told, if anything. */
  readonly fault?: Error | undefined;
}
