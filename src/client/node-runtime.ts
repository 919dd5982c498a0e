import { openNodeSocket } from "./node-socket.ts";
import type { Runtime } from "./runtime.ts";

/** Node.js: sockets by `ws`, with headers and pings. */
export const nodeRuntime: Runtime = {
  open: openNodeSocket,
  // RFC 6455 section 7.4: what an endpoint may send.
  maySend: (code) =>
    (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) ||
    (code >= 3000 && code <= 4999),
  isOnline: () => true,
  onWake: () => () => {},
  now: () => performance.now(),
  schedule: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
