import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { expect } from "vitest";

/** The chat page as a person uses it: by what it shows and says. */
export class ChatPage {
  readonly page: Page;
  /** What the console complained about, broken rules of the content security policy included. */
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.complaints.push(message.text());
    });
  }

  /** Opens the page as somebody who was never here before. */
  static async open(
    browser: Browser,
    url: string,
    options?: BrowserContextOptions,
  ): Promise<ChatPage> {
    const context = await browser.newContext(options);
    const chat = new ChatPage(await context.newPage());
    await chat.page.goto(url);
    return chat;
  }

  async signIn(name: string): Promise<void> {
    await this.page.getByLabel("Your name").fill(name);
    await this.page.getByRole("button", { name: "Join the chat" }).click();
    await this.connected();
    await this.waitForRoom("lobby");
  }

  async connected(): Promise<void> {
    await this.page.getByRole("status").filter({ hasText: "Connected" }).waitFor();
  }

  /** Waits until the room is on show and its server has let us in. */
  async waitForRoom(room: string): Promise<void> {
    await this.page.getByRole("heading", { level: 1, name: `#${room}`, exact: true }).waitFor();
    await this.page.getByText(/^(Only you are here|\d+ people here)$/).waitFor();
  }

  async joinRoom(room: string): Promise<void> {
    await this.page.getByLabel("Room to join").fill(room);
    await this.page.getByRole("button", { name: "Join room" }).click();
    await this.waitForRoom(room);
  }

  /** The button of a conversation in the list, by the beginning of its name. */
  conversation(name: string): Locator {
    const list = this.page.getByRole("navigation", { name: "Conversations" });
    return list.getByRole("button", { name });
  }

  get composer(): Locator {
    return this.page.getByRole("textbox", { name: /^Message / });
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** A message on show that is not pending. */
  message(text: string): Locator {
    return this.page.locator('.message[data-pending="false"]').getByText(text, { exact: true });
  }

  /** Everything said on show, oldest first. */
  async messages(): Promise<string[]> {
    return this.page.locator(".message").allTextContents();
  }

  person(name: string): Locator {
    return this.page.getByRole("complementary").getByRole("button", { name });
  }

  /** How far the page could be scrolled to the side, in CSS pixels. */
  async sidewaysScroll(): Promise<number> {
    return this.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return scrollWidth - clientWidth;
    });
  }

  /** Presses a key until something has the focus, which then has to be visible. */
  async pressUntilFocused(key: string, target: Locator): Promise<void> {
    const isFocused = () => target.evaluate((element) => element === document.activeElement);
    for (let presses = 0; presses < 30; presses++) {
      if (await isFocused()) break;
      await this.page.keyboard.press(key);
    }
    expect(await isFocused()).toBe(true);
    expect(await target.evaluate(hasFocusRing)).toBe(true);
  }
}

/** Whether an element, or the frame around it, shows that it has the focus. */
function hasFocusRing(element: Element): boolean {
  const frames = [element, element.parentElement].filter((frame) => frame !== null);
  return frames.some((frame) => getComputedStyle(frame).outlineStyle === "solid");
}
