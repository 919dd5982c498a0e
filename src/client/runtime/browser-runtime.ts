import { openBrowserSocket, page } from "./browser-socket.ts";
import { clock } from "./clock.ts";
import type { Runtime } from "./runtime.ts";

/** Browsers, and whatever else has a WebSocket of its own. */
export const browserRuntime: Runtime = {
  ...clock,
  hasHeaders: false,
  // Nobody is there to start a page anew.
  defaults: { reconnectMaxAttempts: 0 },
  open: openBrowserSocket,
  isOnline: () => page.navigator?.onLine !== false,
  onWake: (callback, signal) => {
    // A page that nobody sees has a network nevertheless.
    page.addEventListener?.("online", () => callback("online"), { signal });
    // Of the document, from which it comes here.
    const look = (): void => {
      if (!page.document?.hidden) callback("visible");
    };
    page.addEventListener?.("visibilitychange", look, { signal });
  },
};
