import fc from "fast-check";
import { expect, test } from "vitest";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

const onDispose = useDisposals();

/** An instance behind a network that can fail, with a client in the room. */
interface Place {
  readonly name: string;
  readonly instance: ManagerServer;
  readonly proxy: TcpProxy;
  /** What the client was sent. */
  readonly seen: string[];
  /** Resolves when the client has been sent so. */
  saw(text: string): Promise<void>;
  readonly isConnected: () => boolean;
}

async function startPlace(name: string, redisPort: number): Promise<Place> {
  const proxy = await startTcpProxy(redisPort);
  onDispose(proxy.dispose);
  const backplane = redisBackplane({ url: `redis://127.0.0.1:${proxy.port}` });
  const instance = await startManager({ backplane, instanceId: name });
  onDispose(instance.dispose);
  const { client, connection } = await instance.connect(name);
  await connection.join("room");
  const seen: string[] = [];
  let wake = (): void => {};
  client.socket.on("message", (data) => {
    seen.push(String(data));
    wake();
  });
  const saw = async (text: string): Promise<void> => {
    while (!seen.includes(text)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { name, instance, proxy, seen, saw, isConnected: () => connection.state === "open" };
}

async function healthy({ instance: { manager } }: Place): Promise<void> {
  if (manager.status === "healthy") return;
  await new Promise<void>((resolve) => {
    const end = manager.on("status", ({ status }) => {
      if (status !== "healthy") return;
      end();
      resolve();
    });
  });
}

/** What a sender's messages were, as one client saw them. */
function numbersOf(sender: string, run: number, seen: readonly string[]): number[] {
  return seen
    .map((text) => text.split(" "))
    .filter(([of, from]) => of === String(run) && from === sender)
    .map(([, , number]) => Number(number));
}

test("into degraded mode and back, no sender's messages are reordered or come twice, and no client drops", async () => {
  const { port, dispose } = await startRedisServer();
  onDispose(dispose);
  const places = [await startPlace("here", port), await startPlace("there", port)];
  const step = fc.record({
    at: fc.nat(1),
    do: fc.oneof(
      { weight: 8, arbitrary: fc.constant("send" as const) },
      { weight: 1, arbitrary: fc.constantFrom("cut", "restore", "turn") },
    ),
    count: fc.integer({ min: 1, max: 20 }),
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      run++;
      const sent = new Map(places.map(({ name }) => [name, 0]));
      const deliveries: Promise<unknown>[] = [];
      for (const { at, do: action, count } of steps) {
        const place = places[at];
        if (place === undefined) continue;
        if (action === "cut") place.proxy.cut();
        else if (action === "restore") place.proxy.restore();
        else if (action === "turn") await new Promise((resolve) => setTimeout(resolve, count));
        else {
          for (let i = 0; i < count; i++) {
            const number = (sent.get(place.name) ?? 0) + 1;
            sent.set(place.name, number);
            const text = `${run} ${place.name} ${number}`;
            deliveries.push(place.instance.manager.broadcastToRoom("room", text));
          }
        }
      }
      await Promise.all(deliveries);
      for (const { proxy } of places) proxy.restore();
      for (const place of places) {
        // One that was cut a moment ago may not have noticed yet.
        const probe = async () => place.instance.manager.broadcastToRoom("room", `${run} probe`);
        do await healthy(place);
        while ((await probe()).scope !== "cluster");
      }
      // Whoever has got the last message of both has got everything before it.
      const ends = places.map(({ name }) => `${run} end ${name}`);
      for (const [index, { instance }] of places.entries()) {
        const delivery = await instance.manager.broadcastToRoom("room", ends[index] ?? "");
        expect(delivery).toEqual({ scope: "cluster", localRecipients: 1 });
      }
      for (const { name, seen, saw, isConnected } of places) {
        for (const end of ends) await saw(end);
        for (const sender of ["here", "there"]) {
          const numbers = numbersOf(sender, run, seen);
          expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
          // Its own messages an instance always delivers, each of them.
          if (sender === name) expect(numbers).toHaveLength(sent.get(sender) ?? 0);
        }
        expect(isConnected()).toBe(true);
      }
    }),
    { numRuns: 20 },
  );
});

test("a network that swallows everything: what was on its way comes once and in order, then what follows", async () => {
  const { port, dispose } = await startRedisServer();
  onDispose(dispose);
  const here = await startPlace("here", port);
  const there = await startPlace("there", port);
  const { manager } = here.instance;
  here.proxy.blackHole();
  const before = Array.from({ length: 5 }, (_, i) =>
    manager.broadcastToRoom("room", `0 here ${i + 1}`),
  );
  for (const delivery of await Promise.all(before)) {
    expect(delivery).toEqual({ scope: "unknown", localRecipients: 1 });
  }
  expect(manager.status).toBe("degraded");
  expect(await manager.broadcastToRoom("room", "0 here 6")).toEqual({
    scope: "instance",
    localRecipients: 1,
  });
  here.proxy.restore();
  await healthy(here);
  await manager.broadcastToRoom("room", "0 here 7");
  for (const { saw } of [here, there]) await saw("0 here 7");
  expect(numbersOf("here", 0, here.seen)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(numbersOf("here", 0, there.seen)).toEqual([7]);
  expect(here.isConnected()).toBe(true);
});

test("a send to an id that cannot be looked up does not say that it reached the cluster", async () => {
  const { port, dispose } = await startRedisServer();
  onDispose(dispose);
  const here = await startPlace("here", port);
  const { manager } = here.instance;
  here.proxy.blackHole();
  const sent = ["first", "second"].map((id) => manager.send(id, "hi"));
  for (const delivery of await Promise.all(sent)) {
    expect(delivery).toEqual({ scope: "instance", localRecipients: 0 });
  }
});
