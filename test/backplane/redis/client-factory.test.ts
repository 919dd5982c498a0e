import { expect, test, vi } from "vitest";
import { clientFactory } from "../../../src/backplane/redis/net/client-factory.ts";
import { useDisposals } from "../../support/disposals.ts";
import { startRedisServer } from "../../support/redis-server.ts";

const onDispose = useDisposals();

test("no command carries a timer of its own, which costs more than the command", async () => {
  const { url, dispose } = await startRedisServer();
  onDispose(dispose);
  const client = await clientFactory({ url }, "a").make();
  await client.connect();
  onDispose(() => client.destroy());
  const timers = vi.spyOn(AbortSignal, "timeout");
  onDispose(() => timers.mockRestore());
  await client.publish("channel", "message");
  await client.sendCommand(["PING"]);
  expect(timers).not.toHaveBeenCalled();
});
