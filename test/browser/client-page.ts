import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { build } from "rolldown";
import { type Servers, startServers } from "../client/server.ts";
import { launchChromium } from "../support/chromium.ts";
import { repositoryRoot } from "../support/repository.ts";

/** A page that has the client as `api`, and servers for it. */
export interface ClientPage {
  readonly page: Page;
  readonly servers: Servers;
  dispose(): Promise<void>;
}

/** The page has the built client, as a `<script type="module">` without a bundler gets it, and the behaviours. */
const PAGE = `<!doctype html><title>client</title><script type="module">
  import * as api from "/roomcast-client.js";
  import { behaviours, queueBehaviours, roomBehaviours } from "/behaviours.js";
  const all = { ...behaviours, ...roomBehaviours, ...queueBehaviours };
  const calls = ["network", "publish", "asked"].map((name) => [name, (...args) => control(name, args)]);
  window.run = (name, urls) => all[name]({ api, ...urls, ...Object.fromEntries(calls) });
  window.api = api;
</script>`;

export async function openClientPage(): Promise<ClientPage> {
  const bundle = await build({
    input: join(repositoryRoot, "test/client/all-behaviours.ts"),
    platform: "browser",
    write: false,
  });
  const files = new Map([
    ["/", PAGE],
    ["/behaviours.js", bundle.output[0].code],
    ["/roomcast-client.js", readFileSync(join(repositoryRoot, "dist/roomcast-client.js"), "utf8")],
  ]);
  const servers = await startServers((path) => files.get(path));
  const chromium = await launchChromium();
  const page = await chromium.browser.newPage();
  await page.exposeFunction("control", (name: "network" | "publish" | "asked", args: unknown[]) =>
    Reflect.apply(servers[name], servers, args),
  );
  await page.goto(servers.pageUrl);
  await page.waitForFunction(() => "run" in window);
  return {
    page,
    servers,
    dispose: async () => {
      await chromium.dispose();
      await servers.dispose();
    },
  };
}
