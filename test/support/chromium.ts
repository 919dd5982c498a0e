import { type Browser, chromium } from "playwright-core";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";

export interface Chromium {
  readonly browser: Browser;
  dispose(): Promise<void>;
}

/** Launches the system's Chromium without a window, and keeps it from talking to anyone but us. */
export async function launchChromium(): Promise<Chromium> {
  const browser = await chromium.launch({
    executablePath: requireTool(tools.chromium),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return { browser, dispose: () => browser.close() };
}
