import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { useDisposals } from "../support/disposals.ts";
import { startServe } from "../support/serve.ts";
import { jwt } from "../support/tokens.ts";

const SECRET = "a secret that is long enough for HS256";
const dispose = useDisposals();
let chromium: Chromium;

beforeAll(async () => {
  chromium = await launchChromium();
});

afterAll(() => chromium.dispose());

function token(seconds: number): string {
  return jwt(
    { alg: "HS256" },
    { sub: "alice", exp: Math.floor(Date.now() / 1000) + seconds },
    SECRET,
  );
}

/** Opens a page of the origin, on which scripts run as that origin's. */
async function openPage(origin: string): Promise<Page> {
  const context = await chromium.browser.newContext();
  dispose(() => context.close());
  const page = await context.newPage();
  await page.goto(`${origin}/health/live`);
  return page;
}

/** What becomes of `new WebSocket(url, ["bearer", token])` on a page. */
function connect(
  page: Page,
  url: string,
  bearer: string,
): Promise<{ opened: string | null; code: number }> {
  return page.evaluate(
    ([address, credential]) =>
      new Promise((resolve) => {
        const socket = new WebSocket(address, ["bearer", credential]);
        let opened: string | null = null;
        socket.onopen = () => {
          opened = socket.protocol;
          socket.send('{"type":"ping"}');
        };
        socket.onmessage = () => socket.close();
        socket.onclose = ({ code }) => resolve({ opened, code });
      }),
    [url, bearer] as const,
  );
}

test("a page connects with its token as a subprotocol; one of another origin, or without a good token, does not", async () => {
  const server = await startServe({ env: { JWT_SECRET: SECRET } });
  dispose(server.dispose);
  const other = await startServe();
  dispose(other.dispose);
  const page = await openPage(server.url);
  expect(await connect(page, `${server.wsUrl}/ws`, token(60))).toEqual({
    opened: "bearer",
    code: 1005,
  });
  expect(await connect(page, `${server.wsUrl}/ws`, token(-60))).toEqual({
    opened: null,
    code: 1006,
  });
  const foreign = await openPage(other.url);
  expect(await connect(foreign, `${server.wsUrl}/ws`, token(60))).toEqual({
    opened: null,
    code: 1006,
  });
});

test("a page whose token expires is closed with 4401", async () => {
  const server = await startServe({ env: { JWT_SECRET: SECRET } });
  dispose(server.dispose);
  const page = await openPage(server.url);
  const closed = await page.evaluate(
    ([address, credential]) =>
      new Promise((resolve) => {
        const socket = new WebSocket(address, ["bearer", credential]);
        socket.onclose = ({ code, reason }) => resolve({ code, reason });
      }),
    [`${server.wsUrl}/ws`, token(2)] as const,
  );
  expect(closed).toEqual({ code: 4401, reason: "credential expired" });
});
