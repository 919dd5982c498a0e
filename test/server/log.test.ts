import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

function recording() {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, message, fields: { ...fields } });
  const logger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  return {
    lines,
    logger,
    said: (message: string) => lines.find((line) => line.message === message),
  };
}

test("the life of connections and rooms is logged, with who and where, and neither tokens nor payloads", async () => {
  const { lines, logger, said } = recording();
  const server = await startManager({ logger });
  onDispose(server.dispose);
  const { client, connection } = await server.connect("alice");
  await connection.join("lobby");
  client.send("a secret payload");
  await client.close();
  await expect.poll(() => said("disconnected")).toBeDefined();
  await expect(Client.connect(`${server.url}/nobody?token=a-secret-token`)).rejects.toThrow("404");
  await expect(Client.connect(`${server.url}/?token=a-secret-token`)).rejects.toThrow("401");
  const whose = { connection: connection.id, user: "alice" };
  const where = { instance: server.manager.instanceId, pid: process.pid };
  expect(said("connected")?.fields).toEqual({ ...where, ...whose, address: "127.0.0.1" });
  expect(said("disconnected")?.fields).toEqual({ ...where, ...whose, code: 1000, reason: "" });
  for (const message of ["room followed", "room not followed any more"]) {
    const ofLobby = lines.find((line) => line.message === message && line.fields.room === "lobby");
    expect(ofLobby?.fields).toEqual({ ...where, room: "lobby" });
  }
  expect(said("upgrade refused")?.fields).toMatchObject({ ...where, status: 401 });
  expect(JSON.stringify(lines)).not.toContain("secret");
});

test("that the backplane is lost and found again is logged", async () => {
  const redis = await startRedisServer();
  onDispose(redis.dispose);
  const { logger, said } = recording();
  const server = await startManager({ logger, backplane: redisBackplane({ url: redis.url }) });
  onDispose(server.dispose);
  redis.stop();
  await expect.poll(() => said("the backplane is degraded")?.level).toBe("warn");
  redis.cont();
  await expect.poll(() => said("the backplane is connected")?.level).toBe("info");
});

test("what fails for a connection is logged with its id, what peers do wrong at debug", async () => {
  const { lines, logger, said } = recording();
  const server = await startManager({ logger });
  onDispose(server.dispose);
  server.router.public("/fails", {
    message: () => {
      throw new Error("broken");
    },
  });
  const client = await Client.connect(`${server.url}/fails`);
  client.send("x");
  await client.next();
  expect(said("unhandled error")?.fields).toMatchObject({ stage: "handler" });
  expect(said("unhandled error")?.fields.connection).toBe(server.manager.connections()[0]?.id);
  // An opcode that does not exist (RFC 6455 section 5.2).
  client.socket.send("x");
  Reflect.get(client.socket, "_socket").write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
  await client.closed();
  await expect.poll(() => said("a socket failed")?.level).toBe("debug");
  expect(lines.filter(({ level }) => level === "error").length).toBeLessThanOrEqual(2);
});

describe("without a logger", () => {
  const shown: unknown[][] = [];
  const { error } = console;
  const { DEBUG } = process.env;
  beforeEach(() => {
    shown.length = 0;
    console.error = (...args) => void shown.push(args);
  });
  afterEach(() => {
    console.error = error;
    if (DEBUG === undefined) delete process.env.DEBUG;
    else process.env.DEBUG = DEBUG;
  });

  const live = async (): Promise<void> => {
    const server = await startManager();
    onDispose(server.dispose);
    server.router.public("/fails", {
      message: () => {
        throw new Error("broken");
      },
    });
    const client = await Client.connect(`${server.url}/fails`);
    client.send("a secret payload");
    await client.next();
    await client.close();
    await expect.poll(() => server.manager.connectionCount).toBe(0);
  };

  test("a failing handler is shown with its stage and connection, and nothing else is", async () => {
    delete process.env.DEBUG;
    await live();
    expect(shown).toHaveLength(1);
    expect(shown[0]?.[0]).toMatch(/stage handler, connection ~/);
    expect(shown[0]?.[1]).toMatchObject({ message: "broken" });
  });

  test.each(["roomcast", "express,roomcast:*", "*"])(
    "DEBUG=%s shows the life of connections",
    async (names) => {
      process.env.DEBUG = names;
      await live();
      const text = shown.flat().join("\n");
      expect(text).toMatch(/debug connected .*connection: '~/);
      expect(text).toMatch(/debug disconnected .*code: 1000/);
      expect(text).toMatch(/error unhandled error .*broken/s);
      expect(text).not.toContain("secret");
    },
  );

  test("DEBUG for others shows nothing", async () => {
    process.env.DEBUG = "express,roomcaster";
    await live();
    expect(shown).toHaveLength(1);
  });
});
