/**
 * Whether `value` is a promise of whatever library: something that has a `then` (what `await` looks for). Throws
 * what a getter named `then` throws.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    "then" in value &&
    typeof value.then === "function"
  );
}
