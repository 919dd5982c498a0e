import { openNodeSocket } from "./node-socket.ts";
import type { Runtime } from "./runtime.ts";

/** Node.js: sockets by `ws`, with headers and pings. */
export const nodeRuntime: Runtime = {
  hasHeaders: true,
  open: openNodeSocket,
  isOnline: () => true,
  onWake: () => () => {},
  now: () => performance.now(),
  schedule: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
