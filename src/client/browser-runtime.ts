import { openBrowserSocket } from "./browser-socket.ts";
import type { Runtime } from "./runtime.ts";

/** The part of a page or a worker that is used. */
interface BrowserGlobal extends BrowserEvents {
  readonly navigator?: { readonly onLine?: boolean };
  /** Absent in workers. */
  readonly document?: BrowserEvents & { readonly hidden: boolean };
}

interface BrowserEvents {
  addEventListener?(type: string, listener: () => void, options: { signal: AbortSignal }): void;
}

const page = globalThis as unknown as BrowserGlobal;

/** Browsers, and whatever else has a WebSocket of its own. */
export const browserRuntime: Runtime = {
  hasHeaders: false,
  open: openBrowserSocket,
  isOnline: () => page.navigator?.onLine !== false,
  onWake: (callback) => {
    const watching = new AbortController();
    const look = (): void => {
      if (!page.document?.hidden && browserRuntime.isOnline()) callback();
    };
    page.addEventListener?.("online", look, watching);
    page.document?.addEventListener?.("visibilitychange", look, watching);
    return () => watching.abort();
  },
  now: () => performance.now(),
  schedule: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
