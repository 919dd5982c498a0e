import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import { RedisLink } from "../../src/backplane/redis/channels.ts";
import { Keys } from "../../src/backplane/redis/keys.ts";
import { clientFactory } from "../../src/backplane/redis/net/client-factory.ts";
import { findPrimary } from "../../src/backplane/redis/net/sentinel.ts";
import { EncodedMessage } from "../../src/protocol/encoded-message.ts";
import { ConnectionFailedError } from "../../src/protocol/errors.ts";
import { useDisposals } from "../support/disposals.ts";
import { freePort } from "../support/free-port.ts";
import { Recorder } from "../support/recorder.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { startSentinels } from "../support/sentinels.ts";

const onDispose = useDisposals();

test("after a failover messages flow again through the new primary", async () => {
  const primary = await startRedisServer();
  onDispose(primary.dispose);
  const replica = await startRedisServer({ config: [`replicaof 127.0.0.1 ${primary.port}`] });
  onDispose(replica.dispose);
  const sentinels = await startSentinels(primary.port);
  onDispose(sentinels.dispose);

  // The Sentinels learn of the replica from the primary, and of each other from it too.
  const sentinel = createClient({ socket: sentinels.nodes[0] ?? { port: 0 } });
  await sentinel.connect();
  onDispose(() => sentinel.destroy());
  const known = async (kind: string): Promise<number> => {
    const answer: unknown = await sentinel.sendCommand(["SENTINEL", kind, "main"]);
    return Array.isArray(answer) ? answer.length : 0;
  };
  await expect.poll(() => known("REPLICAS")).toBe(1);
  await expect.poll(() => known("SENTINELS")).toBe(2);

  const recorder = new Recorder("a");
  const location = { name: "main", nodes: sentinels.nodes };
  const makeClient = clientFactory({ sentinel: location }, "a");
  const link = new RedisLink(makeClient, new Keys("ws:"), recorder, "a#1", {
    joining: async () => {},
    living: async () => 0,
    told: () => true,
    trouble: (error) => void recorder.troubles.push(String(error)),
  });
  onDispose(() => link.stop());
  await link.start();
  await link.broker.subscribe("room:x");
  const send = (text: string) =>
    link.broker.publish("room:x", {
      type: "message",
      message: EncodedMessage.from(text),
      except: null,
    });
  expect(await send("before")).toEqual({ scope: "cluster", localRecipients: 1 });
  await primary.kill();
  await recorder.until(() => recorder.statuses.at(-1) === "degraded");
  expect(await send("meanwhile")).toEqual({ scope: "instance", localRecipients: 1 });
  await recorder.until(() => recorder.statuses.at(-1) === "connected");
  expect(await findPrimary(location)).toEqual({ host: "127.0.0.1", port: replica.port });
  expect(await send("after")).toEqual({ scope: "cluster", localRecipients: 1 });
  expect(recorder.texts).toEqual(["before", "meanwhile", "after"]);
});

test("where no Sentinel knows the primary, the error says so", async () => {
  const nodes = [{ host: "127.0.0.1", port: await freePort() }];
  const asked = findPrimary({ name: "main", nodes });
  await expect(asked).rejects.toThrow(ConnectionFailedError);
  await expect(asked).rejects.toThrow("No Sentinel knows where main is.");
});
