import type { ErrorReply } from "@redis/client";
import { loadPeer } from "../../../protocol/peer.ts";

/** The optional package `@redis/client`. */
type Library = typeof import("@redis/client");

let loaded: Library | null = null;

/** Loads it, before the first client is made: without it importing `roomcast/redis` is to fail with a remedy. */
export async function clientLibrary(): Promise<Library> {
  loaded ??= await loadPeer("@redis/client", "redisBackplane", () => import("@redis/client"));
  return loaded;
}

/** Whether Redis answered with an error. */
export function isErrorReply(error: unknown): error is ErrorReply {
  return loaded !== null && error instanceof loaded.ErrorReply;
}

/** The type of replies that are text or bytes, as `RESP_TYPES` of the package has it: the `$` of the protocol. */
export const BLOB_STRING = 36;
