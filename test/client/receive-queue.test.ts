import { expect, test } from "vitest";
import { Emitter } from "../../src/client/events.ts";
import { ReceiveQueue, type Step } from "../../src/client/messages/receive-queue.ts";
import type { ClientSocket } from "../../src/client/runtime/runtime.ts";
import { ConnectionClosedError } from "../../src/client.ts";

/** As much of a connection as a queue of what came has to do with. */
function socket(hold?: (held: boolean) => void): ClientSocket {
  const unused = (): never => {
    throw new Error("not for a queue of what came");
  };
  return {
    ...{ protocol: "", bufferedAmount: 0, send: unused, close: unused, terminate: unused },
    ...(hold && { hold }),
  };
}

/** A queue, and what it does to its owner. */
function start({ canHold = false, whenUnread = "latest" as "latest" | "close" } = {}) {
  const told: string[] = [];
  const events = new Emitter();
  events.on("overflow", ({ unread }) => told.push(`overflow ${unread}`));
  events.on("gap", ({ room }) => told.push(`gap ${room}`));
  events.on("error", (error) => told.push(error.name));
  const limits = { maxMessageSize: 1000, maxQueueSize: 4, maxUnreadBytes: 1000, whenUnread };
  const places = { took: (step?: Step) => void (step && told.push(`at ${step.room} ${step.id}`)) };
  const queue = new ReceiveQueue(limits, events, places, (error) => {
    told.push(`closed ${error.closeCode}`);
  });
  queue.open(socket(canHold ? (held) => told.push(`hold ${held}`) : undefined));
  let order = 0;
  const step = (id: string): Step => ({ room: "lobby", id, order: ++order });
  const push = (id: string): void => queue.push(id, {}, step(id));
  return { queue, told, push, step };
}

test("a sender that can be held up is, and nothing of what still came is dropped", async () => {
  const { queue, told, push } = start({ canHold: true });
  for (let i = 0; i < 100; i++) push(String(i));
  expect(told).toEqual(["hold false", "hold true"]);
  for (let i = 0; i < 100; i++) expect((await queue.take().promise).message).toBe(String(i));
  expect(told).toEqual(["hold false", "hold true", "hold false"]);
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
  expect(told).toEqual(["hold false", "hold true", "hold false"]);
  resolve();
  await work;
  expect(told).toEqual(["hold false", "hold true", "hold false", "hold true"]);
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
  expect(told).toEqual(["overflow 16", "closed 4413"]);
  queue.begin();
  push("again");
  expect(told.at(-1)).toBe("closed 4413");
});

test("the last message is kept, however large it is, and one that may not be is told", async () => {
  const { queue, told, push } = start();
  push("a");
  push("x".repeat(900));
  push("y".repeat(1001));
  expect(told).toEqual(["gap lobby", "overflow 2", "MessageTooLargeError"]);
  expect((await queue.take().promise).message).toBe("x".repeat(900));
});
