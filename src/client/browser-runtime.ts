import { openBrowserSocket, page } from "./browser-socket.ts";
import type { Runtime } from "./runtime.ts";

/** Browsers, and whatever else has a WebSocket of its own. */
export const browserRuntime: Runtime = {
  hasHeaders: false,
  open: openBrowserSocket,
  isOnline: () => page.navigator?.onLine !== false,
  onWake: (callback) => {
    const watching = new AbortController();
    const look = (): void => {
      if (!page.document?.hidden) callback();
    };
    page.addEventListener?.("online", look, watching);
    // Of the document, from which it comes here.
    page.addEventListener?.("visibilitychange", look, watching);
    return () => watching.abort();
  },
  now: () => performance.now(),
  schedule: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
