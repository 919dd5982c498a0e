import { expect, test } from "vitest";
import { Emitter } from "../../src/client/events.ts";
import { ReceiveQueue, type Step } from "../../src/client/messages/receive-queue.ts";
import { ConnectionClosedError } from "../../src/client.ts";

/** A queue, and what it does to its owner. */
function start({ canHold = false, whenUnread = "latest" as "latest" | "close" } = {}) {
  const told: string[] = [];
  const events = new Emitter();
  events.on("overflow", ({ unread }) => told.push(`overflow ${unread}`));
  events.on("gap", ({ room }) => told.push(`gap ${room}`));
  events.on("error", (error) => told.push(error.name));
  const limits = { maxMessageSize: 1000, maxQueueSize: 4, maxUnreadBytes: 1000, whenUnread };
  const queue = new ReceiveQueue(limits, events, {
    hold: (held) => {
      if (told.at(-1) !== `hold ${held}`) told.push(`hold ${held}`);
      return canHold;
    },
    taken: (step) => step && told.push(`at ${step.room} ${step.id}`),
    overflowed: (error) => told.push(`closed ${error.closeCode}`),
  });
  let order = 0;
  const step = (id: string): Step => ({ room: "lobby", id, order: ++order });
  const push = (id: string): void => queue.push(id, {}, step(id));
  return { queue, told, push, step };
}

test("a sender that can be held up is, and nothing of what still came is dropped", async () => {
  const { queue, told, push } = start({ canHold: true });
  for (let i = 0; i < 100; i++) push(String(i));
  expect(told).toEqual(["hold true"]);
  for (let i = 0; i < 100; i++) expect((await queue.take().message).message).toBe(String(i));
  expect(told).toEqual(["hold true", "hold false"]);
});

test("what is waited for behind the messages is read for, until it has come", async () => {
  const { queue, told, push } = start({ canHold: true });
  for (let i = 0; i < 5; i++) push(String(i));
  let resolve = (): void => {};
  const work = queue.readFor(
    new Promise<void>((done) => {
      resolve = done;
    }),
  );
  expect(told).toEqual(["hold true", "hold false"]);
  resolve();
  await work;
  expect(told).toEqual(["hold true", "hold false", "hold true"]);
});

test("steps wait for the messages before them", async () => {
  const { queue, told, push, step } = start();
  push("1");
  queue.push(null, {}, step("2"));
  expect(told).toEqual([]);
  const loop = queue.read();
  expect((await loop.next()).value).toBe("1");
  expect(told).toEqual([]);
  await loop.return(undefined);
  expect(told).toEqual(["at lobby 1", "at lobby 2"]);
});

test("an end for too much is told again to who begins anew without having read", () => {
  const { queue, told, push } = start({ whenUnread: "close" });
  const fill = (): void => {
    for (let i = 0; i < 50; i++) push(String(i));
  };
  fill();
  queue.end(new ConnectionClosedError(4413), false);
  expect(told.filter((text) => !text.startsWith("hold"))).toEqual(["overflow 16", "closed 4413"]);
  queue.begin();
  push("again");
  expect(told.at(-1)).toBe("closed 4413");
});

test("the last message is kept, however large it is, and one that may not be is told", async () => {
  const { queue, told, push } = start();
  push("a");
  push("x".repeat(900));
  push("y".repeat(1001));
  expect(told.filter((text) => !text.startsWith("hold"))).toEqual([
    "gap lobby",
    "overflow 2",
    "MessageTooLargeError",
  ]);
  expect((await queue.take().message).message).toBe("x".repeat(900));
});
