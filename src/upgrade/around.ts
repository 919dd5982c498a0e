import type { AnyConnection, CloseInfo } from "../connection/connection.ts";
import type { AnyHandler, Context, HandlerObject } from "./handler.ts";

/** What a handler is about to be called with. */
export interface HandlerCall {
  readonly event: "open" | "message" | "close";
  readonly connection: AnyConnection;
  readonly context: Context;
  /** Of `message`: as the handler gets it. */
  readonly message?: unknown;
  /** Of `close`. */
  readonly info?: CloseInfo;
}

/**
 * A function around handlers. `next` calls what is inside, the next function or the handler itself, once, and resolves or
 * rejects as that does. What the function returns or throws counts as the handler's: without `next` that is not called.
 */
export type Around = (call: HandlerCall, next: () => Promise<unknown>) => unknown;

/** The handler with functions around it, the first outermost. */
export function surround(handler: AnyHandler, arounds: readonly Around[]): AnyHandler {
  if (arounds.length === 0) return handler;
  const inside: HandlerObject<Record<string, string>, unknown> = typeof handler === "function"
    ? { open: handler }
    : handler;
  const run = (call: HandlerCall, innermost: () => unknown): Promise<unknown> => {
    const from = async (i: number): Promise<unknown> => {
      const around = arounds[i];
      if (around === undefined) return innermost();
      let called = false;
      return around(call, () => {
        if (called) return Promise.reject(new Error("next was called twice."));
        called = true;
        return from(i + 1);
      });
    };
    return from(0);
  };
  // Only what is there: a handler without `message` lets messages go by.
  return {
    ...(inside.open && {
      open: (connection, context) =>
        run({ event: "open", connection, context }, () => inside.open?.(connection, context)),
    }),
    ...(inside.message && {
      message: (connection, message, context) =>
        run({ event: "message", connection, context, message }, () =>
          inside.message?.(connection, message, context),
        ),
    }),
    ...(inside.close && {
      close: (connection, info, context) =>
        run({ event: "close", connection, context, info }, () =>
          inside.close?.(connection, info, context),
        ),
    }),
  };
}
