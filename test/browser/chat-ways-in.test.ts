import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Chromium, launchChromium } from "../support/chromium.ts";
import { Client } from "../support/client.ts";
import { type ServeProcess, startServe } from "../support/serve.ts";
import { jwt } from "../support/tokens.ts";
import { ChatPage } from "./chat-page.ts";

const SECRET = "a secret that is long enough for HS256";
const PHONE = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true };
let chromium: Chromium;
let servers: ServeProcess[];
let pages: ChatPage[];

beforeAll(async () => {
  chromium = await launchChromium();
});

afterAll(() => chromium.dispose());

beforeEach(() => {
  servers = [];
  pages = [];
});

afterEach(async () => {
  await Promise.all(pages.map(({ page }) => page.context().close()));
  for (const server of servers) await server.dispose();
});

async function serve(env: Record<string, string> = {}): Promise<ServeProcess> {
  const server = await startServe({ env });
  servers.push(server);
  return server;
}

async function open(url: string, options?: Parameters<typeof ChatPage.open>[2]): Promise<ChatPage> {
  const page = await ChatPage.open(chromium.browser, url, options);
  pages.push(page);
  return page;
}

function token(seconds: number): string {
  const exp = Math.floor(Date.now() / 1000) + seconds;
  return jwt({ alg: "HS256" }, { sub: "alice", exp }, SECRET);
}

async function giveToken({ page }: ChatPage, given: string): Promise<void> {
  await page.getByLabel("Token (JWT)").fill(given);
  await page.getByRole("button", { name: "Join the chat" }).click();
}

test("a server that wants tokens: the page asks for one at once", async () => {
  const { url } = await serve({ JWT_SECRET: SECRET });
  const alice = await open(url);
  await alice.page.getByLabel("Token (JWT)").waitFor();
  expect(await alice.page.getByLabel("Your name").count()).toBe(0);
  await giveToken(alice, "");
  await alice.page.getByText("That is not an access token.").waitFor();
  await giveToken(alice, token(60));
  await alice.waitForRoom("lobby");
});

test("a token that the server does not take, or no more, leads back to where one is asked for", async () => {
  const { url } = await serve({ JWT_SECRET: SECRET });
  const alice = await open(url);
  await giveToken(alice, token(-60));
  await alice.page.getByText("The server does not take this token.").waitFor();
  await alice.page.getByRole("button", { name: "Sign in again" }).click();
  await giveToken(alice, token(60));
  await alice.waitForRoom("lobby");
});

test("who was there before tokens were asked for is told so, and not that the connection was lost", async () => {
  const { url, port, dispose } = await serve();
  const alice = await open(url);
  await alice.signIn("alice");
  await dispose();
  await serve({ JWT_SECRET: SECRET, PORT: String(port) });
  await alice.page.reload();
  await alice.page.getByText("The server asks for an access token.").waitFor();
  await alice.page.getByRole("button", { name: "Sign in again" }).click();
  await alice.page.getByLabel("Token (JWT)").waitFor();
});

test("while disconnected the page does not say that nobody is there", async () => {
  const { url, dispose } = await serve();
  const alice = await open(url);
  await alice.signIn("alice");
  await alice.page.locator(".people .count").filter({ hasText: "1" }).waitFor();
  await dispose();
  await alice.page.getByText("Who is here shows once you are connected.").waitFor();
  expect(await alice.page.locator(".people .count").count()).toBe(0);
  expect(await alice.page.getByText("Nobody is here yet.").count()).toBe(0);
});

test("an empty message, one with an address, and one of a program show as what they are, with their time", async () => {
  const { url, wsUrl } = await serve();
  const program = await Client.connect(`${wsUrl}/ws?user=program`);
  program.send({ type: "join", room: "lobby" });
  for (const data of ["", "see https://example.org/a."]) {
    program.send({ type: "room_message", room: "lobby", data });
    await program.nextOfType("message");
  }
  const alice = await open(url);
  await alice.signIn("alice");
  await alice.page.getByText("(an empty message)").waitFor();
  const link = alice.page.getByRole("link", { name: "https://example.org/a" });
  expect(await link.getAttribute("rel")).toBe("noopener noreferrer");
  await alice.page.locator(".group time").first().waitFor();
  await program.close();
});

test("a room has an address, which leads there; Back and Forward go between conversations", async () => {
  const { url } = await serve();
  const alice = await open(`${url}/#room:garden`);
  await alice.page.getByLabel("Your name").fill("alice");
  await alice.page.getByRole("button", { name: "Join the chat" }).click();
  await alice.waitForRoom("garden");
  await alice.conversation("lobby").click();
  await alice.waitForRoom("lobby");
  expect(alice.page.url()).toBe(`${url}/#room:lobby`);
  await alice.page.goBack();
  await alice.waitForRoom("garden");
  await alice.page.goForward();
  await alice.waitForRoom("lobby");
  expect(alice.complaints).toEqual([]);
});

test("on a phone Back leads from people to the conversation and on to the list, not off the page", async () => {
  const { url } = await serve();
  const alice = await open(url, PHONE);
  await alice.signIn("alice");
  await alice.page.getByRole("button", { name: "Show who is here" }).tap();
  await alice.person("alice").waitFor();
  await alice.page.goBack();
  await alice.composer.waitFor();
  await alice.page.goBack();
  await alice.conversation("lobby").waitFor();
  expect(alice.page.url()).toContain(url);
  expect(alice.complaints).toEqual([]);
});
