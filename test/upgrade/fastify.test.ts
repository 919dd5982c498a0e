import Fastify from "fastify";
import { expect, test } from "vitest";
import { roomcast } from "../../src/fastify.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";

const dispose = useDisposals();

test("one line adds the manager and the router; closing the app closes both", async () => {
  const app = Fastify();
  dispose(() => app.close());
  await app.register(roomcast, { authenticate: () => null, limits: { maxConnections: 1 } });
  const { manager, router } = app.roomcast;
  expect(manager.limits.maxConnections).toBe(1);
  expect(manager.status).toBe("healthy");
  router.public("/ws", { message: (connection, message) => connection.send(message) });
  router.protected("/private", {});
  // Inside plugins, too: the decorator is the application's.
  await app.register(async (inner) => {
    inner.get("/count", () => ({ connections: inner.roomcast.manager.connectionCount }));
  });
  const url = (await app.listen({ port: 0, host: "127.0.0.1" })).replace("http:", "ws:");
  const client = await Client.connect(`${url}/ws`);
  client.send("echo");
  expect(await client.next()).toBe("echo");
  expect((await app.inject("/count")).json()).toEqual({ connections: 1 });
  await expect(Client.connect(`${url}/ws`)).rejects.toThrow("503");
  const closed = app.close();
  expect(await client.closed()).toMatchObject({ code: 1012 });
  await closed;
  expect(manager.accepting).toBe(false);
});

test("a manager of one's own is used as it is; failures reach the app's logger", async () => {
  const lines: string[] = [];
  const app = Fastify({ logger: { stream: { write: (line: string) => void lines.push(line) } } });
  dispose(() => app.close());
  const manager = new ConnectionManager();
  await app.register(roomcast, { manager });
  expect(app.roomcast.manager).toBe(manager);

  const logging = Fastify({
    logger: { stream: { write: (line: string) => void lines.push(line) } },
  });
  dispose(() => logging.close());
  await logging.register(roomcast);
  logging.roomcast.manager.reportError(new Error("something failed"), "test");
  expect(lines.join("")).toContain("something failed");
});

test("the plugin names options that do not exist, and those that would not apply", async () => {
  await expect(Fastify().register(roomcast, { origins: [] } as never)).rejects.toThrow(
    "no option origins",
  );
  const manager = new ConnectionManager();
  await expect(Fastify().register(roomcast, { manager, limits: {} })).rejects.toThrow(
    "limits must be given to the manager itself",
  );
});
