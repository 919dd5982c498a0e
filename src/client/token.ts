import { ConnectionFailedError } from "../protocol/errors.ts";
import type { WebSocketClientOptions } from "./options.ts";

/**
 * The token for an attempt; undefined: none.
 *
 * @throws ConnectionFailedError (as a rejection) if it is no token, or cannot be had.
 */
export async function fetchToken(
  token: WebSocketClientOptions["token"],
): Promise<string | undefined> {
  let fetched: unknown = token;
  try {
    if (typeof token === "function") fetched = await token();
  } catch (cause) {
    throw new ConnectionFailedError(`There is no token: ${cause}`, { cause });
  }
  if (typeof fetched === "string") return fetched.trim() || undefined;
  // It is not shown, whatever it is.
  if (fetched) throw new ConnectionFailedError("token must be text, or null.");
  return undefined;
}
