import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { startRedisServer } from "./redis-server.ts";

/** Sends one command line and resolves to the first answer. */
async function ask(port: number, command: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write(`${command}\r\n`);
    const [answer] = await once(socket, "data");
    return String(answer);
  } finally {
    socket.destroy();
  }
}

test("a redis-server runs with the given configuration, and can be killed and come back", async () => {
  const first = await startRedisServer({ config: ["maxmemory 10mb"] });
  expect(await ask(first.port, "CONFIG GET maxmemory")).toContain("10485760");
  await first.kill();
  await expect(ask(first.port, "PING")).rejects.toThrow("ECONNREFUSED");

  const second = await startRedisServer({ port: first.port });
  expect(second.url).toBe(first.url);
  expect(await ask(second.port, "PING")).toBe("+PONG\r\n");
  await first.dispose();
  await second.dispose();
});

test("a frozen redis-server is silent and answers once it goes on", async () => {
  const server = await startRedisServer();
  server.stop();
  const answer = ask(server.port, "PING");
  expect(await Promise.race([answer, setTimeout(100, "silent")])).toBe("silent");
  server.cont();
  expect(await answer).toBe("+PONG\r\n");
  await server.dispose();
});

test("a configuration redis does not understand is an error that quotes it", async () => {
  await expect(startRedisServer({ config: ["maxmemory a-lot"] })).rejects.toThrow("maxmemory");
});
