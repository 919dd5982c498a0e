// `npm run screenshots`: two instances on Redis with some load, and pictures of their pages in docs/pictures.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { BrowserContextOptions, Page } from "playwright-core";
import { WebSocket } from "ws";
import { launchChromium } from "../test/support/chromium.ts";
import { startRedisServer } from "../test/support/redis-server.ts";
import { repositoryRoot } from "../test/support/repository.ts";
import { type ServeProcess, startServe } from "../test/support/serve.ts";

const folder = join(repositoryRoot, "docs/pictures");
const DESKTOP = { viewport: { width: 1360, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true };
const DARK = { ...DESKTOP, colorScheme: "dark" as const };
const USERS = 60;
const ROOMS = 12;

mkdirSync(folder, { recursive: true });
const redis = await startRedisServer();
const servers: ServeProcess[] = [];
for (let i = 0; i < 2; i++) servers.push(await startServe({ env: { REDIS_URL: redis.url } }));
const [first] = servers;
if (first === undefined) throw new Error("No server.");
const { browser, dispose } = await launchChromium();

/** Somebody in three rooms who says something `everyMs`. */
function talk(number: number, everyMs: () => number): WebSocket {
  const server = servers[number % servers.length];
  const socket = new WebSocket(`${server?.wsUrl}/ws?user=user${number}`);
  const say = (message: object): void => socket.send(JSON.stringify(message));
  socket.on("open", () => {
    for (let i = 0; i < 3; i++) say({ type: "join", room: `room-${(number + i * i) % ROOMS}` });
    const again = (): void => {
      if (socket.readyState !== WebSocket.OPEN) return;
      const room = `room-${(number + (number % 3) ** 2) % ROOMS}`;
      say({ type: "room_message", room, data: `Hello from user${number}` });
      setTimeout(again, everyMs());
    };
    again();
  });
  return socket;
}

async function shoot(
  name: string,
  path: string,
  options: BrowserContextOptions,
  act: (page: Page) => Promise<void> = async () => {},
): Promise<void> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(`${first?.url}${path}`);
  await act(page);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
  console.log(`docs/pictures/${name}.png`);
}

/** So long the charts are filled before the picture. */
const filled = () => wait(20_000);

const people = Array.from({ length: USERS }, (_, number) =>
  talk(number, () => 300 + Math.random() * 2500),
);
try {
  await shoot("dashboard", "/dashboard", DESKTOP, filled);
  await shoot("dashboard-dark", "/dashboard", DARK, filled);
  await shoot("dashboard-phone", "/dashboard", PHONE, filled);
  await shoot("dashboard-storm", "/dashboard", DESKTOP, async () => {
    for (let i = 0; i < 30; i++) people.push(talk(100 + i, () => 25));
    await wait(3000);
    for (const one of people.slice(0, USERS)) one.terminate();
    await filled();
  });
  await shoot("dashboard-degraded", "/dashboard", DESKTOP, async () => {
    await wait(8000);
    redis.stop();
    await filled();
  });
} finally {
  redis.cont();
  for (const one of people) one.terminate();
  await dispose();
  for (const server of servers) await server.dispose();
  await redis.dispose();
}
