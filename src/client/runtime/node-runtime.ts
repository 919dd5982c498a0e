import { clock } from "./clock.ts";
import { openNodeSocket } from "./node-socket.ts";
import { nothing, type Runtime } from "./runtime.ts";

/** Node.js: sockets by `ws`, with headers and pings. */
export const nodeRuntime: Runtime = {
  ...clock,
  hasHeaders: true,
  defaults: {},
  open: openNodeSocket,
  isOnline: () => true,
  onWake: nothing,
};
