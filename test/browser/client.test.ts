import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { behaviours } from "../client/behaviours.ts";
import { type Servers, startServers } from "../client/server.ts";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { repositoryRoot } from "../support/repository.ts";

/** The page has the built client, as a `<script type="module">` without a bundler gets it, and the behaviours. */
const PAGE = `<!doctype html><title>client</title><script type="module">
  import * as api from "/roomcast-client.js";
  import { behaviours } from "/behaviours.js";
  const calls = ["network", "publish", "asked"].map((name) => [name, (...args) => control(name, args)]);
  window.run = (name, urls) => behaviours[name]({ api, ...urls, ...Object.fromEntries(calls) });
  window.api = api;
</script>`;

let servers: Servers;
let chromium: Chromium;
let page: Page;

beforeAll(async () => {
  const bundle = await build({
    entryPoints: [join(repositoryRoot, "test/client/behaviours.ts")],
    bundle: true,
    format: "esm",
    write: false,
  });
  const files = new Map([
    ["/", PAGE],
    ["/behaviours.js", bundle.outputFiles[0]?.text ?? ""],
    ["/roomcast-client.js", readFileSync(join(repositoryRoot, "dist/roomcast-client.js"), "utf8")],
  ]);
  servers = await startServers((path) => files.get(path));
  chromium = await launchChromium();
  page = await chromium.browser.newPage();
  await page.exposeFunction("control", (name: "network" | "publish" | "asked", args: unknown[]) =>
    Reflect.apply(servers[name], servers, args),
  );
  await page.goto(servers.pageUrl);
  await page.waitForFunction(() => "run" in window);
});

afterAll(async () => {
  await chromium.dispose();
  await servers.dispose();
});

test.each(Object.keys(behaviours))("in Chromium: %s", async (name) => {
  const { url, echoUrl, deadUrl } = servers;
  await page.evaluate(
    ([name, urls]) =>
      (window as unknown as { run(name: string, urls: object): Promise<void> }).run(name, urls),
    [name, { url, echoUrl, deadUrl }] as const,
  );
});

test("in Chromium: headers, which a page cannot set, are refused", async () => {
  const message = await page.evaluate((url) => {
    const { WebSocketClient } = (window as unknown as { api: typeof import("../../src/client.ts") })
      .api;
    try {
      return String(new WebSocketClient(url, { headers: { a: "b" } }));
    } catch (error) {
      return String(error);
    }
  }, servers.url);
  expect(message).toContain("TypeError");
});

test("in Chromium: coming online is a reason to try at once", async () => {
  const context = page.context();
  const opened = page.evaluate(async (url) => {
    const { WebSocketClient } = (window as unknown as { api: typeof import("../../src/client.ts") })
      .api;
    // By itself it would come back in an hour.
    const hour = 3_600_000;
    const config = { reconnectBackoffBaseMs: hour, reconnectBackoffMaxMs: hour };
    const client = new WebSocketClient(`${url}?user=online`, { config });
    await client.connect();
    const told = new Promise((resolve) => {
      client.on("reconnecting", ({ delayMs }) => {
        const open = new Promise((opened) => client.on("open", opened));
        (window as unknown as { lost: boolean }).lost = true;
        resolve(open.then(() => delayMs));
      });
    });
    (window as unknown as { ready: boolean }).ready = true;
    return told;
  }, servers.url);
  await page.waitForFunction(() => "ready" in window);
  await context.setOffline(true);
  await servers.network("cut");
  await page.waitForFunction(() => "lost" in window);
  await servers.network("restore");
  await context.setOffline(false);
  expect(await opened).toBeNull();
});
