import { once } from "node:events";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";
import { ChatPage } from "./chat-page.ts";

let chromium: Chromium;
let server: ServeProcess;
let pages: ChatPage[];

beforeAll(async () => {
  chromium = await launchChromium();
});

afterAll(() => chromium.dispose());

beforeEach(async () => {
  server = await startServe();
  pages = [];
});

afterEach(async () => {
  await Promise.all(pages.map(({ page }) => page.context().close()));
  await server.dispose();
});

async function openPage(options?: Parameters<typeof ChatPage.open>[2]): Promise<ChatPage> {
  const page = await ChatPage.open(chromium.browser, server.url, options);
  pages.push(page);
  return page;
}

async function enter(name: string, options?: Parameters<typeof ChatPage.open>[2]) {
  const page = await openPage(options);
  await page.signIn(name);
  return page;
}

function expectNoComplaints(): void {
  expect(pages.flatMap(({ complaints }) => complaints)).toEqual([]);
}

test("two people see each other come, talk both ways in one order, and go", async () => {
  const ann = await enter("ann");
  const bob = await enter("bob");
  await ann.person("bob").waitFor();
  await bob.person("ann").waitFor();

  await ann.say("hello bob");
  await bob.message("hello bob").waitFor();
  await bob.say("hello ann");
  await ann.message("hello ann").waitFor();
  for (const page of [ann, bob]) {
    expect(await page.messages()).toEqual(["hello bob", "hello ann"]);
  }

  await bob.page.getByRole("button", { name: "Sign out" }).click();
  await ann.person("bob").waitFor({ state: "detached" });
  await ann.page.getByText("Only you are here").waitFor();
  expectNoComplaints();
});

test("rooms can be joined and left, and count what is unread", async () => {
  const ann = await enter("ann");
  const bob = await enter("bob");
  await ann.joinRoom("garden");
  await bob.say("one");
  await bob.say("two");
  await ann.conversation("lobby 2 unread").click();
  await ann.message("two").waitFor();
  expect(await ann.conversation("lobby").textContent()).not.toContain("unread");

  await ann.conversation("garden").click();
  await ann.page.getByRole("button", { name: "Leave #garden" }).click();
  await ann.waitForRoom("lobby");
  await ann.conversation("garden").waitFor({ state: "detached" });
  expectNoComplaints();
});

test("a newcomer reads what was said before, whoever said it", async () => {
  const script = new WebSocket(`${server.wsUrl}/ws?user=script`);
  await once(script, "open");
  script.send(JSON.stringify({ type: "join", room: "lobby" }));
  script.send(JSON.stringify({ type: "room_message", room: "lobby", data: "from a script" }));
  script.send(JSON.stringify({ type: "room_message", room: "lobby", data: { temperature: 21 } }));
  script.send(JSON.stringify({ type: "ping" }));
  await new Promise<void>((resolve) => {
    script.on("message", (frame) => {
      if (String(frame).includes("pong")) resolve();
    });
  });

  const ann = await enter("ann");
  await ann.message("from a script").waitFor();
  expect(await ann.messages()).toEqual(["from a script", '{"temperature":21}']);
  await ann.person("script").waitFor();
  script.close(1000);
  expectNoComplaints();
});

test("a direct message reaches that person alone, and an answer comes back", async () => {
  const ann = await enter("ann");
  const bob = await enter("bob");
  const carl = await enter("carl");
  await ann.person("bob").click();
  await ann.say("between us");
  await ann.message("between us").waitFor();

  await bob.conversation("ann 1 unread").click();
  await bob.message("between us").waitFor();
  await bob.say("agreed");
  await ann.message("agreed").waitFor();

  await bob.conversation("lobby").click();
  await bob.say("hello all");
  await carl.message("hello all").waitFor();
  expect(await carl.messages()).toEqual(["hello all"]);
  expectNoComplaints();
});

test("a message to everyone is read in its own place", async () => {
  const ann = await enter("ann");
  const bob = await enter("bob");
  await ann.conversation("Everyone").click();
  await ann.say("lunch is ready");
  await ann.message("lunch is ready").waitFor();
  await bob.conversation("Everyone").click();
  await bob.message("lunch is ready").waitFor();
  expectNoComplaints();
});

test("after a restart of the server both come back by themselves and go on talking", async () => {
  const ann = await enter("ann");
  const bob = await enter("bob");
  await ann.say("before");
  await bob.message("before").waitFor();

  expect(await server.stop()).toBe(0);
  for (const page of [ann, bob]) await page.page.getByText(/Reconnecting in \d+ s/).waitFor();
  await ann.say("said while away");
  expect(await ann.message("said while away").count()).toBe(0);

  server = await startServe({ env: { PORT: String(server.port) } });
  await ann.connected();
  await bob.connected();
  await bob.message("said while away").waitFor();
  await ann.person("bob").waitFor();
  await bob.say("after");
  await ann.message("after").waitFor();
  expect(await ann.messages()).toEqual(["before", "said while away", "after"]);

  const unexpected = pages
    .flatMap(({ complaints }) => complaints)
    .filter((complaint) => !/^WebSocket connection to .* failed/.test(complaint));
  expect(unexpected).toEqual([]);
});

test("somebody who does not want to wait can try at once", async () => {
  const ann = await enter("ann");
  const { port } = server;
  // From here on the page's own timers stand still, so that only the button is left.
  await ann.page.clock.install();
  await ann.page.clock.pauseAt(Date.now() + 60_000);
  await server.dispose();
  await ann.page.getByText(/Reconnecting in \d+ s/).waitFor();
  server = await startServe({ env: { PORT: String(port) } });
  await ann.page.getByRole("button", { name: "Try now" }).click();
  await ann.connected();
});

test("HTML in messages, rooms and names is text", async () => {
  const html = '<img src="x" onerror="document.title = 1"><b>bold</b>';
  const ann = await enter("<i>ann</i>");
  const bob = await enter("bob");
  await ann.say(html);
  await bob.message(html).waitFor();
  await bob.person("<i>ann</i>").waitFor();
  await bob.joinRoom("<u>room</u>");
  await ann.joinRoom("<u>room</u>");
  expect(await bob.page.locator("i, b, u, img").count()).toBe(0);
  expect(await ann.page.locator("i, b, u, img").count()).toBe(0);
  expectNoComplaints();
});

test("a name and a reload: the page remembers who one is and where one was", async () => {
  const ann = await enter("ann");
  await ann.joinRoom("garden");
  await ann.say("still here");
  await ann.message("still here").waitFor();
  await ann.page.reload();
  await ann.connected();
  await ann.conversation("garden").click();
  await ann.message("still here").waitFor();
  await ann.page.getByRole("button", { name: "Sign out" }).click();
  expect(await ann.page.getByLabel("Your name").inputValue()).toBe("ann");
  expectNoComplaints();
});

test("a name that the server would refuse is refused at once, with the reason", async () => {
  const page = await openPage();
  await page.page.getByLabel("Your name").fill("{ann}");
  await page.page.getByRole("button", { name: "Join the chat" }).click();
  await page.page.getByRole("alert").filter({ hasText: "Curly brackets" }).waitFor();
  expectNoComplaints();
});

test("who has scrolled up stays there, and is told of new messages", async () => {
  const ann = await enter("ann", { viewport: { width: 900, height: 400 } });
  const bob = await enter("bob");
  await bob.say(Array.from({ length: 40 }, (_, line) => `line ${line}`).join("\n"));
  const log = ann.page.getByRole("log");
  await ann.page.getByText("line 39").waitFor();
  await log.hover();
  await ann.page.mouse.wheel(0, -300);
  await expect.poll(() => log.evaluate(distanceFromEnd)).toBeGreaterThan(200);
  const before = await log.evaluate((box) => box.scrollTop);

  await bob.say("news");
  const pill = ann.page.getByRole("button", { name: "1 new message" });
  await pill.waitFor();
  expect(await log.evaluate((box) => box.scrollTop)).toBe(before);
  await pill.click();
  await expect.poll(() => log.evaluate(distanceFromEnd)).toBeLessThan(2);
  await pill.waitFor({ state: "detached" });
  expectNoComplaints();
});

function distanceFromEnd(box: Element): number {
  return box.scrollHeight - box.scrollTop - box.clientHeight;
}

test("a phone shows one thing at a time and never scrolls sideways", async () => {
  const phone = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true };
  const ann = await enter(`ann-${"x".repeat(40)}`, phone);
  const bob = await enter("bob");
  await bob.say("w".repeat(300));
  await ann.message("w".repeat(300)).waitFor();
  expect(await ann.sidewaysScroll()).toBe(0);

  await ann.page.getByRole("button", { name: "Show who is here" }).tap();
  await ann.person("bob").waitFor();
  expect(await ann.sidewaysScroll()).toBe(0);
  await ann.person("bob").tap();
  await ann.say("from my phone");
  await ann.message("from my phone").waitFor();

  await ann.page.getByRole("button", { name: "All conversations" }).tap();
  await ann.conversation("lobby").waitFor();
  expect(await ann.composer.isVisible()).toBe(false);
  expect(await ann.sidewaysScroll()).toBe(0);
  await ann.conversation("lobby").tap();
  await ann.waitForRoom("lobby");
  expectNoComplaints();
});

test("everything can be done by keyboard, with the focus in sight", async () => {
  const bob = await enter("bob");
  const ann = await openPage();
  const { keyboard } = ann.page;
  await ann.pressUntilFocused("Tab", ann.page.getByLabel("Your name"));
  await keyboard.type("ann");
  await keyboard.press("Enter");
  await ann.waitForRoom("lobby");

  await ann.pressUntilFocused("Tab", ann.composer);
  await keyboard.type("first line");
  await keyboard.press("Shift+Enter");
  await keyboard.type("second line");
  await keyboard.press("Enter");
  await bob.message("first line\nsecond line").waitFor();

  await ann.pressUntilFocused("Shift+Tab", ann.page.getByLabel("Room to join"));
  await keyboard.type("garden");
  await keyboard.press("Enter");
  await ann.waitForRoom("garden");
  await ann.pressUntilFocused("Shift+Tab", ann.conversation("lobby"));
  await keyboard.press("Enter");
  await ann.waitForRoom("lobby");

  await ann.pressUntilFocused("Tab", ann.person("bob"));
  await keyboard.press("Enter");
  await ann.page.getByRole("heading", { level: 1, name: "bob" }).waitFor();
  await ann.pressUntilFocused("Tab", ann.composer);
  await keyboard.type("by keyboard");
  await keyboard.press("Enter");
  await bob.conversation("ann 1 unread").waitFor();
  expectNoComplaints();
});

test("a message nobody can show leaves the others on the page, also after a reload", async () => {
  const ann = await enter("ann");
  const mallory = new WebSocket(`${server.wsUrl}/ws?user=mallory`);
  await once(mallory, "open");
  const say = (data: unknown) =>
    mallory.send(JSON.stringify({ type: "room_message", room: "lobby", data }));
  mallory.send(JSON.stringify({ type: "join", room: "lobby" }));
  const hostile = [1e300, -1e300, 8.7e15, 8.64e15, -8.64e15, 0.5, -1].map((at) => ({
    text: `at ${at}`,
    at,
  }));
  for (const data of [...hostile, { text: "\u202e\u0000\ud800" }, { text: "" }, {}, []]) say(data);
  say("still here");
  await ann.message("still here").waitFor();
  await ann.message("at 1e+300").waitFor();
  await ann.say("and so am I");
  await ann.message("and so am I").waitFor();
  await ann.page.reload();
  await ann.connected();
  await ann.message("still here").waitFor();
  await ann.message("and so am I").waitFor();
  mallory.terminate();
  expectNoComplaints();
});
