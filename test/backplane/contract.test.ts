import { AssertionError } from "node:assert";
import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import { afterAll, describe, expect, test } from "vitest";
import type { Backplane } from "../../src/backplane/contract/backplane.ts";
import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { backplaneContract } from "../../src/testing/backplane-contract.ts";
import type { FaultyBackplane } from "../../src/testing/fault-contract.ts";
import { useDisposals } from "../support/disposals.ts";
import { type RedisCluster, startRedisCluster } from "../support/redis-cluster.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

const onDispose = useDisposals();

// One of each for all cases, since a Cluster takes seconds to start; each case has a prefix of its own.
let alone: RedisServer | undefined;
let cluster: RedisCluster | undefined;
let uses = 0;
afterAll(async () => {
  await alone?.dispose();
  await cluster?.dispose();
});

const BACKPLANES: Record<string, () => Backplane | Promise<Backplane>> = {
  memory: () => memoryBackplane(),
  Redis: async () => {
    alone ??= await startRedisServer();
    return redisBackplane({ url: alone.url, prefix: `test-${++uses}:` });
  },
  "Redis Cluster": async () => {
    cluster ??= await startRedisCluster();
    return redisBackplane({ cluster: cluster.urls, prefix: `test-${++uses}:` });
  },
};

const LEASE_MS = 2000;

/** A Redis of its own for each case, with a proxy on the way of each instance. */
async function faultyRedis(): Promise<FaultyBackplane> {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const ways: Record<string, TcpProxy> = {};
  for (const id of ["a", "b"]) {
    const proxy = await startTcpProxy(server.port);
    onDispose(proxy.dispose);
    ways[id] = proxy;
  }
  return {
    leaseMs: LEASE_MS,
    backplane: (id) => {
      return redisBackplane({ url: `redis://127.0.0.1:${ways[id]?.port}`, leaseMs: LEASE_MS });
    },
    cut: (id) => ways[id]?.cut(),
    heal: (id) => ways[id]?.restore(),
    wipe: async () => {
      const client = createClient({ url: server.url });
      await client.connect();
      await client.flushAll();
      client.destroy();
    },
    freeze: async (ms) => {
      server.stop();
      await wait(ms);
      server.cont();
    },
  };
}

describe.each(Object.entries(BACKPLANES))("the backplane on %s", (name, make) => {
  const faults = name === "Redis" ? faultyRedis : undefined;
  for (const { name, run } of backplaneContract(make, faults)) test(name, run);
});

test("a backplane that breaks its word fails the cases that are about it, and only those", async () => {
  const forgetful = (): Backplane => {
    const { attach, tasks } = memoryBackplane();
    return {
      tasks,
      attach: (instance) => {
        const attachment = attach(instance);
        const { presence } = attachment;
        presence.isOnline = async () => false;
        return attachment;
      },
    };
  };
  const failed: string[] = [];
  for (const { name, run } of backplaneContract(forgetful)) {
    await run().catch((error) => {
      expect(error).toBeInstanceOf(AssertionError);
      failed.push(name);
    });
  }
  expect(failed).toContain(
    "presence: a user comes online with the first instance and goes offline with the last",
  );
  expect(failed.filter((name) => name.startsWith("broker: "))).toEqual([]);
});
