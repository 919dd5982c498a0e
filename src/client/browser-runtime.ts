import { BrowserSocket, type NativeWebSocket } from "./browser-socket.ts";
import type { Runtime } from "./runtime.ts";

/** The part of a page or a worker that is used. */
interface BrowserGlobal {
  readonly WebSocket: new (url: string, protocols: string[]) => NativeWebSocket;
  readonly navigator?: { readonly onLine?: boolean };
  /** Absent in workers. */
  readonly document?: BrowserEvents & { readonly hidden: boolean };
  readonly addEventListener?: BrowserEvents["addEventListener"];
  readonly removeEventListener?: BrowserEvents["removeEventListener"];
}

interface BrowserEvents {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

/** Looked up when it is used: importing this file needs no browser. */
const page = globalThis as unknown as BrowserGlobal;

/** Browsers, and whatever else has a WebSocket of its own. */
export const browserRuntime: Runtime = {
  open: (url, { protocols, token }, events) => {
    // A page can set no header; the server takes the token from here and selects `bearer`, or another.
    const all = token === undefined ? protocols : ["bearer", token, ...protocols];
    return new BrowserSocket(new page.WebSocket(url, [...all]), events);
  },
  // The WebSocket standard of browsers lets a page send no other.
  maySend: (code) => code === 1000 || (code >= 3000 && code <= 4999),
  isOnline: () => page.navigator?.onLine !== false,
  onWake: (callback) => {
    const { document } = page;
    const look = (): void => {
      if (!document?.hidden && browserRuntime.isOnline()) callback();
    };
    page.addEventListener?.("online", look);
    document?.addEventListener("visibilitychange", look);
    return () => {
      page.removeEventListener?.("online", look);
      document?.removeEventListener("visibilitychange", look);
    };
  },
  now: () => performance.now(),
  schedule: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
