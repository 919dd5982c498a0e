import { expect, test } from "vitest";
import { MessageRefusedError } from "../../src/index.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

async function start() {
  const server = await startManager();
  onDispose(server.dispose);
  return server;
}

test("functions around handlers see every call, in order, and what comes of it", async () => {
  const { router, url } = await start();
  const log: string[] = [];
  router
    .use(async ({ event, context }, next) => {
      log.push(`> ${event} ${context.params.room}`);
      const answer = await next();
      log.push(`< ${event} ${answer}`);
      return answer;
    })
    .use(({ event }, next) => {
      log.push(`inside ${event}`);
      return next();
    })
    .public("/rooms/:room", {
      open: () => "opened",
      message: (connection, message) => {
        void connection.send(message);
        return "handled";
      },
      close: () => "closed",
    });
  const client = await Client.connect(`${url}/rooms/a`);
  client.send("hello");
  expect(await client.next()).toBe("hello");
  await client.close();
  await expect.poll(() => log.length).toBe(9);
  expect(log).toEqual([
    ...["> open a", "inside open", "< open opened"],
    ...["> message a", "inside message", "< message handled"],
    ...["> close a", "inside close", "< close closed"],
  ]);
});

test("one may answer, refuse or replace an answer in the handler's place", async () => {
  const { router, url, manager } = await start();
  const errors: unknown[] = [];
  manager.on("error", (error) => errors.push(error));
  const seen: unknown[] = [];
  router
    .use(async ({ message }, next) => {
      if (message === "answer me") return "from around";
      if (message === "refuse me") throw new MessageRefusedError("no", "Not this one.");
      return next();
    })
    .public("/a", { message: (_connection, message) => void seen.push(message) });
  const client = await Client.connect(`${url}/a`, {}, ["roomcast.v1"]);
  client.send({ type: "message", id: "1", data: "answer me" });
  expect(await client.nextOfType("ack")).toMatchObject({ id: "1", data: "from around" });
  client.send({ type: "message", id: "2", data: "refuse me" });
  expect(await client.nextOfType("error")).toMatchObject({ id: "2", code: "no" });
  client.send({ type: "message", id: "3", data: "let me" });
  expect(await client.nextOfType("ack")).toEqual({ type: "ack", id: "3" });
  expect(seen).toEqual(["let me"]);
  expect(errors).toEqual([]);
});

test("routes from before have none around them; next may be called once; only functions are taken", async () => {
  const { router, url, manager } = await start();
  const errors: Error[] = [];
  manager.on("error", (error) => errors.push(error as Error));
  const echo = {
    message: (connection: { send(m: unknown): unknown }, m: unknown) => void connection.send(m),
  };
  router.public("/before", echo);
  router.use(async (_call, next) => {
    await next();
    await next();
  });
  router.public("/after", echo);
  const before = await Client.connect(`${url}/before`);
  before.send("x");
  expect(await before.next()).toBe("x");
  const after = await Client.connect(`${url}/after`);
  after.send("x");
  expect(await after.next()).toBe("x");
  expect(await after.nextJson()).toMatchObject({ code: "internal_error" });
  expect(errors[0]?.message).toBe("next was called twice.");
  expect(() => router.use("log" as never)).toThrow(TypeError);
});
