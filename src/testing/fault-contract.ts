import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import type { Backplane } from "../backplane/contract/backplane.ts";
import type { MessagePacket } from "../backplane/contract/broker.ts";
import type { Transition } from "../backplane/contract/presence-store.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import { type ContractCase, join, type Member } from "./contract.ts";

/** A backplane whose service can be made to fail. Each method resolves once it is so. */
export interface FaultyBackplane {
  /** The way of one instance to the service. */
  backplane(instance: string): Backplane;
  /** How long after its last sign of life an instance counts as gone, in milliseconds. */
  readonly leaseMs: number;
  /** The instance does not reach the service any more, and its connections are lost. */
  cut(instance: string): Promise<void> | void;
  /** It can reach it again. */
  heal(instance: string): Promise<void> | void;
  /** The service forgets everything. */
  wipe(): Promise<void> | void;
  /** The service answers nobody for so many milliseconds; resolves afterwards. */
  freeze(ms: number): Promise<void>;
}

const ENTRY = { connectedAt: 1, metadata: {} };
const LIMIT = { max: 1, whenFull: "reject" } as const;
const POLICY = { maxLength: 100, ttlMs: 60_000 };

function message(text: string): MessagePacket {
  return { type: "message", message: EncodedMessage.from(text), except: null };
}

function sorted(transitions: readonly Transition[]): string[] {
  return transitions.map(({ type, user, room = "" }) => `${type} ${user} ${room}`.trim()).sort();
}

async function collect(list: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of list) items.push(item);
  return items.sort();
}

/** Asks again until it is so; a case that waits in vain runs into the time limit of the framework. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      if (!(error instanceof BackplaneUnavailableError)) throw error;
    }
    await wait(20);
  }
}

async function isNow({ recorder }: Member, status: "connected" | "degraded"): Promise<void> {
  await recorder.until(() => recorder.statuses.at(-1) === status);
}

async function fill({ presence }: Member, users: readonly string[]): Promise<void> {
  for (const user of users) {
    await presence.online(user, ENTRY);
    await presence.enter("room", user);
  }
}

interface World {
  readonly faults: FaultyBackplane;
  readonly a: Member;
  readonly b: Member;
}

const CASES: Readonly<Record<string, (world: World) => Promise<void>>> = {
  "an instance that is cut off gets its own messages, in order, and says how far they got": async ({
    faults,
    a,
    b,
  }) => {
    for (const { broker } of [a, b]) await broker.subscribe("room:x");
    await a.broker.publish("room:x", message("0"));
    await faults.cut("a");
    const during = await Promise.all(
      ["1", "2", "3"].map((text) => a.broker.publish("room:x", message(text))),
    );
    for (const { scope, localRecipients } of during) {
      assert.notEqual(scope, "cluster");
      assert.equal(localRecipients, 1);
    }
    await isNow(a, "degraded");
    const alone = { scope: "instance", localRecipients: 1 };
    assert.deepEqual(await a.broker.publish("room:x", message("4")), alone);
    await faults.heal("a");
    await isNow(a, "connected");
    const together = { scope: "cluster", localRecipients: 1 };
    assert.deepEqual(await a.broker.publish("room:x", message("5")), together);
    await b.recorder.until(() => b.recorder.texts.includes("5"));
    assert.deepEqual(a.recorder.texts, ["0", "1", "2", "3", "4", "5"]);
    assert.deepEqual(b.recorder.texts, [...new Set(b.recorder.texts)].sort());
  },

  "what was written while the service was away is made up for, and told when it is confirmed":
    async ({ faults, a, b }) => {
      await fill(a, ["goes", "stays"]);
      await faults.cut("a");
      await isNow(a, "degraded");
      assert.equal(await a.presence.exit("room", "goes"), false);
      assert.equal(await a.presence.offline("goes"), false);
      assert.equal((await a.presence.online("comes", ENTRY)).first, false);
      await assert.rejects(a.presence.isOnline("stays"), BackplaneUnavailableError);
      assert.deepEqual(a.recorder.raised, []);
      await faults.heal("a");
      await isNow(a, "connected");
      await a.recorder.until(() => a.recorder.raised.length >= 3);
      const raised = ["leave goes room", "offline goes", "online comes"];
      assert.deepEqual(sorted(a.recorder.raised), raised);
      assert.deepEqual(await collect(b.presence.onlineUsers()), ["comes", "stays"]);
      assert.deepEqual(b.recorder.raised, []);
    },

  "an instance that is away for longer than its lease is forgotten, told once, and back as new":
    async ({ faults, a, b }) => {
      await fill(a, ["alice", "both"]);
      await fill(b, ["both"]);
      await a.presence.claim("chosen");
      await a.presence.reserve("alice", "one", LIMIT);
      await faults.cut("a");
      await until(async () => !(await b.presence.isOnline("alice")));
      await b.recorder.until(() => b.recorder.raised.length >= 2);
      assert.deepEqual(sorted(b.recorder.raised), ["leave alice room", "offline alice"]);
      assert.deepEqual(await b.presence.instances(), ["b"]);
      assert.equal(await b.presence.locate("chosen"), null);
      assert.equal((await b.presence.reserve("alice", "two", LIMIT)).granted, true);
      await faults.heal("a");
      await a.recorder.until(() => a.recorder.raised.length >= 2);
      assert.deepEqual(sorted(a.recorder.raised), ["join alice room", "online alice"]);
      assert.deepEqual(await collect(b.presence.roomUsers("room")), ["alice", "both"]);
      await until(async () => (await b.presence.locate("chosen")) === "a");
    },

  "a service that forgets everything is told it again, in silence": async ({ faults, a, b }) => {
    await fill(a, ["alice", "both"]);
    await fill(b, ["both", "bob"]);
    await a.presence.claim("chosen");
    await faults.wipe();
    const all = ["alice", "bob", "both"].join();
    await until(async () => (await collect(b.presence.roomUsers("room"))).join() === all);
    await until(async () => (await b.presence.onlineCount()) === 3);
    await until(async () => (await b.presence.locate("chosen")) === "a");
    assert.deepEqual([...a.recorder.raised, ...b.recorder.raised], []);
    // And goes on as it was: who leaves now is told.
    let told = await a.presence.offline("alice");
    if (!told) await a.recorder.until(() => a.recorder.raised.length > 0);
    told ||= sorted(a.recorder.raised).join() === "offline alice";
    assert.equal(told, true);
  },

  "a service that is silent for longer than a lease: nobody is taken for dead": async ({
    faults,
    a,
    b,
  }) => {
    await fill(a, ["alice"]);
    await fill(b, ["bob"]);
    await faults.freeze(faults.leaseMs + 1000);
    await until(async () => (await collect(a.presence.onlineUsers())).join() === "alice,bob");
    await until(async () => (await collect(b.presence.onlineUsers())).join() === "alice,bob");
    assert.deepEqual([...a.recorder.raised, ...b.recorder.raised], []);
  },

  "a watcher that may have missed something is told so": async ({ faults, a, b }) => {
    let missed = 0;
    const end = await b.presence.watch("room", { changed: () => {}, missed: () => missed++ });
    await faults.cut("b");
    await isNow(b, "degraded");
    await a.presence.enter("room", "alice");
    await faults.heal("b");
    await until(() => missed > 0);
    end();
  },

  "a message that is to be stored is not, while the service is away, and that is said": async ({
    faults,
    a,
  }) => {
    await a.history.append("room:x", message("before"), POLICY);
    await faults.cut("a");
    await isNow(a, "degraded");
    await assert.rejects(a.history.append("room:x", message("lost"), POLICY), (error) => {
      assert.ok(error instanceof BackplaneUnavailableError);
      assert.equal(error.outcome, "not-stored");
      return true;
    });
    await faults.heal("a");
    await isNow(a, "connected");
    const { id } = await a.history.append("room:x", message("after"), POLICY);
    const { entries } = await a.history.read("room:x", "0", 10);
    assert.deepEqual(
      entries.map((entry) => entry.message.data.toString()),
      ["before", "after"],
    );
    assert.equal(entries.at(-1)?.id, id);
  },

  "a change of a user's rooms that an instance missed reaches it afterwards": async ({
    faults,
    a,
    b,
  }) => {
    for (const { broker, presence } of [a, b]) {
      await broker.subscribe("user:alice");
      await presence.online("alice", ENTRY);
    }
    await b.presence.joinAsUser("alice", "vip");
    await faults.cut("a");
    await isNow(a, "degraded");
    const { changed, version } = await b.presence.leaveAsUser("alice", "vip");
    assert.equal(changed, true);
    await b.broker.publish("user:alice", { type: "leave", room: "vip", version });
    await faults.heal("a");
    await a.recorder.until(() => a.recorder.received.some(({ packet }) => packet.type === "leave"));
    assert.deepEqual((await a.presence.online("alice", ENTRY)).rooms, []);
  },

  "users in grace stay until its end, also beyond the lease of the instance that left them, and while the service is silent":
    async ({ faults, a, b }) => {
      await fill(a, ["back", "gone"]);
      const leftMs = faults.leaseMs * 3;
      const began = performance.now();
      const graces = ["back", "gone"].flatMap((user) => [
        { user, leftMs },
        { user, room: "room", leftMs },
      ]);
      assert.deepEqual(await a.presence.withdraw(graces), []);
      await a.stop();
      await faults.freeze(faults.leaseMs * 0.75);
      await until(() => b.presence.isOnline("gone"));
      assert.equal((await b.presence.online("back", ENTRY)).first, false);
      assert.equal(await b.presence.enter("room", "back"), false);
      await b.recorder.until(() => b.recorder.raised.length >= 2);
      assert.ok(performance.now() - began >= leftMs);
      assert.deepEqual(sorted(b.recorder.raised), ["leave gone room", "offline gone"]);
      assert.equal(await b.presence.offline("back"), true);
    },
};

/** What every backplane must do when its service fails; `make` as in `backplaneContract`. */
export function faultContract(
  make: () => FaultyBackplane | Promise<FaultyBackplane>,
): ContractCase[] {
  return Object.entries(CASES).map(([name, work]) => ({
    name: `faults: ${name}`,
    run: async () => {
      const faults = await make();
      const members: Member[] = [];
      try {
        for (const id of ["a", "b"]) members.push(await join(faults.backplane(id), id));
        const [a, b] = members;
        if (a !== undefined && b !== undefined) await work({ faults, a, b });
      } finally {
        for (const { stop } of members) await stop();
      }
    },
  }));
}
