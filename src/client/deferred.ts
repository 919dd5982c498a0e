import { nothing } from "./runtime/runtime.ts";

/** A promise, and what settles it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>["resolve"] = nothing;
  let reject: Deferred<T>["reject"] = nothing;
  const promise = new Promise<T>((...settle) => {
    [resolve, reject] = settle;
  });
  // Not everybody wants to know.
  promise.catch(nothing);
  return { promise, resolve, reject };
}
