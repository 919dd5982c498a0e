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

/** An attempt to connect, from when it is planned. */
export interface Attempt {
  /** Nothing was tried before it, since `connect` was called. */
  readonly isFirst: boolean;
  /** Settles as the attempt does. */
  readonly made: Deferred<void>;
}

/** What a connection is in, with all that belongs to it and to nothing else. */
export type Phase = { readonly name: "idle" | "closed" } | Connecting | Open | Waiting | Closing;

/** Fetches a token, then shakes hands; for as long as its timer runs. */
export interface Connecting {
  readonly name: "connecting";
  readonly attempt: Attempt;
  readonly cancelTimer: () => void;
  /** Undefined: not yet. */
  socket: ClientSocket | undefined;
}

export interface Open {
  readonly name: "open";
  readonly socket: ClientSocket;
}

/** Until the next attempt is due. */
export interface Waiting {
  readonly name: "waiting";
  readonly attempt: Attempt;
  readonly wait: Wait;
  readonly cancelTimer: () => void;
}

/** This side has closed; until the other side answers, or its timer is over. */
export interface Closing {
  readonly name: "closing";
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

export function stateOf(phase: Phase): ClientState {
  switch (phase.name) {
    case "connecting":
      return phase.attempt.isFirst ? "connecting" : "reconnecting";
    case "waiting":
      return "reconnecting";
    default:
      return phase.name;
  }
}

/** The socket that is open, or was until this side closed it. */
export function socketOf(phase: Phase): ClientSocket | undefined {
  return phase.name === "open" || phase.name === "closing" ? phase.socket : undefined;
}
