import { readFile } from "node:fs/promises";
import { type Case, type Family, shown } from "../family.ts";
import { Target } from "../target.ts";

const MIB = 1_048_576;

/** What the server may take more than before: what waits for ten readers, and what the collector leaves for later. */
const MORE = 200 * MIB;

async function memory(target: Target): Promise<number> {
  const text = await readFile(`/proc/${target.server.process.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) * 1024;
}

/** Ten clients ask for a lot, and read nothing of it. */
function greedy(name: string, asked: readonly unknown[], protocols: readonly string[] = []): Case {
  return {
    name,
    answer: { bounded: true },
    run: async (target) => {
      const before = await memory(target);
      for (let i = 0; i < 10; i++) {
        const client = await target.client(`user=greedy${i}`, protocols);
        client.socket.pause();
        for (const message of asked) client.send(message as object);
      }
      // Somebody else is served all the while, and that is how long it is watched.
      for (let i = 0; i < 30; i++) await target.unharmed("keep");
      return { bounded: (await memory(target)) - before < MORE };
    },
  };
}

const join = { type: "join", room: "full" };
const history = { type: "history", room: "full", limit: 1000 };

const asking: Case[] = [
  ...[1, 10, 100, 1000].map((times) =>
    greedy(`${times} pages of history`, [join, ...Array<unknown>(times).fill(history)]),
  ),
  ...[10, 1000, 5000].map((times) => greedy(`${times} joins`, Array<unknown>(times).fill(join))),
  ...[10, 1000].map((times) =>
    greedy(
      `${times} joins and leaves`,
      Array<unknown>(times)
        .fill([join, { type: "leave", room: "full" }])
        .flat(),
    ),
  ),
  ...[1000, 20_000].map((times) =>
    greedy(`${times} pings`, Array<unknown>(times).fill({ type: "ping" })),
  ),
  ...[10, 100].map((times) =>
    greedy(
      `${times} large messages to itself`,
      Array<unknown>(times).fill({
        type: "direct_message",
        to: "greedy0",
        data: "x".repeat(100_000),
      }),
    ),
  ),
  greedy(
    "a resume from the beginning",
    [{ type: "resume", rooms: { full: "0" } }],
    ["roomcast.v1"],
  ),
  greedy(
    "a resume and 100 pages",
    [
      { type: "resume", rooms: { full: "0" } },
      ...Array<unknown>(100).fill({ type: "message", data: history }),
    ],
    ["roomcast.v1"],
  ),
  greedy("1,000 frames nobody understands", Array<unknown>(1000).fill({ type: "x".repeat(1000) })),
];

/** Written by one that reads, to those who do not. */
const spoken: Case[] = [1, 100, 10_000, 500_000].flatMap((size) =>
  [undefined, "full"].map(
    (room): Case => ({
      name: `${size < 1000 ? 2000 : 60} messages of ${size} bytes to ${room === undefined ? "everybody" : "a room"}, ${shown(room ?? "all")}`,
      answer: { bounded: true },
      run: async (target) => {
        const before = await memory(target);
        for (let i = 0; i < 10; i++) {
          const client = await target.client(`user=sleeper${i}`);
          client.send(join);
          await client.nextOfType("joined");
          client.socket.pause();
        }
        const speaker = await target.client("user=speaker");
        speaker.send(join);
        await speaker.nextOfType("joined");
        const data = "x".repeat(size);
        const message =
          room === undefined ? { type: "broadcast", data } : { type: "room_message", room, data };
        for (let i = 0; i < (size < 1000 ? 2000 : 60); i++) {
          speaker.send(message);
          // It reads what it says itself before it goes on, so that it is not slow.
          await speaker.nextOfType("message");
        }
        return { bounded: (await memory(target)) - before < MORE };
      },
    }),
  ),
);

export const slowReaders: Family = {
  name: "slow readers",
  tried:
    "clients that ask for pages, lists, answers and resumes again and again, or are sent large messages, and read nothing",
  answered:
    "no further page before the last was read; 4413 beyond 1 MiB of backlog; memory stays bounded",
  start: async () => {
    const target = await Target.start();
    const writer = await target.client("user=writer");
    writer.send(join);
    await writer.nextOfType("joined");
    for (let i = 0; i < 40; i++) {
      writer.send({ type: "room_message", room: "full", data: `${i}`.padEnd(100_000) });
      await writer.nextOfType("message");
    }
    await target.unharmed();
    return target;
  },
  cases: [...asking, ...spoken],
};
