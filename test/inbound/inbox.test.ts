import { expect, test } from "vitest";
import { Inbox } from "../../src/inbound/inbox.ts";

function makeInbox(limit = 3): { inbox: Inbox<number>; paused: () => boolean } {
  let paused = false;
  const flow = {
    pause: (): void => {
      paused = true;
    },
    resume: (): void => {
      paused = false;
    },
  };
  return { inbox: new Inbox(limit, flow), paused: () => paused };
}

test("messages that come before anybody listens are kept, and the sender is held up at the limit", () => {
  const { inbox, paused } = makeInbox();
  inbox.push(1);
  inbox.push(2);
  expect(paused()).toBe(false);
  inbox.push(3);
  expect(paused()).toBe(true);
  // What was already on the way is kept too.
  inbox.push(4);
  const seen: number[] = [];
  inbox.listen((message) => seen.push(message));
  expect(seen).toEqual([1, 2, 3, 4]);
  expect(paused()).toBe(false);
});

test("a consumer gets one message after another", async () => {
  const { inbox, paused } = makeInbox();
  const log: string[] = [];
  const gates: (() => void)[] = [];
  inbox.consume({
    take: (message) => {
      log.push(`begin ${message}`);
      return new Promise<void>((resolve) => gates.push(resolve)).then(() => {
        log.push(`end ${message}`);
      });
    },
  });
  for (const message of [1, 2, 3, 4]) inbox.push(message);
  expect(log).toEqual(["begin 1"]);
  expect(paused()).toBe(true);
  const idle = new Promise<void>((resolve) => inbox.whenIdle(resolve));
  for (let i = 0; i < 4; i++) {
    gates[i]?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await idle;
  expect(log).toEqual([1, 2, 3, 4].flatMap((n) => [`begin ${n}`, `end ${n}`]));
  expect(paused()).toBe(false);
});

test("a consumer that answers at once is called at once", () => {
  const { inbox } = makeInbox();
  const seen: number[] = [];
  inbox.push(1);
  inbox.consume({ take: (message) => seen.push(message) });
  inbox.push(2);
  expect(seen).toEqual([1, 2]);
  let idle = false;
  inbox.whenIdle(() => {
    idle = true;
  });
  expect(idle).toBe(true);
});

test("iteration gives every message and ends with the connection", async () => {
  const { inbox } = makeInbox();
  inbox.push(1);
  const seen: number[] = [];
  const reading = (async () => {
    for await (const message of inbox.read()) seen.push(message);
  })();
  inbox.push(2);
  await new Promise((resolve) => setImmediate(resolve));
  inbox.push(3);
  inbox.end();
  inbox.push(4);
  await reading;
  expect(seen).toEqual([1, 2, 3]);
});

test("leaving the loop only stops listening: what comes later is there for the next one", async () => {
  const { inbox } = makeInbox();
  for (const message of [1, 2, 3]) inbox.push(message);
  for await (const message of inbox.read()) {
    expect(message).toBe(1);
    break;
  }
  inbox.end();
  const rest: number[] = [];
  for await (const message of inbox.read()) rest.push(message);
  expect(rest).toEqual([2, 3]);
});

test("when nobody wants messages any more they are counted and never hold up the sender", () => {
  const { inbox, paused } = makeInbox();
  for (const message of [1, 2, 3]) inbox.push(message);
  inbox.ignoreRest();
  expect(paused()).toBe(false);
  for (let i = 0; i < 100; i++) inbox.push(i);
  expect(inbox.ignored).toBe(103);
  expect(paused()).toBe(false);
  const seen: number[] = [];
  const stop = inbox.listen((message) => seen.push(message));
  inbox.push(7);
  stop();
  inbox.push(8);
  expect(seen).toEqual([7]);
  expect(inbox.ignored).toBe(104);
});
