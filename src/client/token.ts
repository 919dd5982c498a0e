import { ConnectionFailedError } from "../protocol/errors.ts";
import type { Token, WebSocketClientOptions } from "./options.ts";

/** Gives the token for an attempt, at once where it is there; undefined: none. */
export type FetchToken = () => Promise<string | undefined> | string | undefined;

/** @throws ConnectionFailedError (when called, or as a rejection) if the token is none, or cannot be had. */
export function tokenFetcher(token: WebSocketClientOptions["token"]): FetchToken {
  if (typeof token !== "function") return () => check(token);
  return async () => {
    let fetched: Token;
    try {
      fetched = await token();
    } catch (cause) {
      throw new ConnectionFailedError(`The token could not be had: ${cause}`, { cause });
    }
    return check(fetched);
  };
}

function check(token: unknown): string | undefined {
  if (token === null || token === undefined) return undefined;
  // It is not shown, whatever it is.
  if (typeof token !== "string") throw new ConnectionFailedError("token must be text, or null.");
  return token.trim() || undefined;
}
