import type { Runtime } from "./runtime.ts";

/** Time and chance, which are the same in every runtime. */
export const clock: Pick<Runtime, "now" | "schedule" | "random" | "uniqueId"> = {
  now: () => performance.now(),
  schedule: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
  // Not `randomUUID`, which pages without TLS do not have.
  uniqueId: () => crypto.getRandomValues(new Uint32Array(4)).join("-"),
};
