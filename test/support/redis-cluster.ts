import { setTimeout as wait } from "node:timers/promises";
import { createClient } from "@redis/client";
import type { Client } from "../../src/backplane/redis/net/connection.ts";
import { freePort } from "./free-port.ts";
import { type RedisServer, startRedisServer } from "./redis-server.ts";

const SLOTS = 16_384;
const PRIMARIES = 3;

/** A node of a Cluster, with a client to give it orders. */
export interface ClusterNode {
  readonly server: RedisServer;
  /** The port on which the nodes talk to each other. */
  readonly bus: number;
  readonly id: string;
  readonly client: Client;
}

/** A real Redis Cluster: three primaries with a replica each. */
export interface RedisCluster {
  /** Of all nodes, for `redisBackplane({ cluster })`. */
  readonly urls: readonly string[];
  /** The primaries at the start, each with a third of the slots. */
  readonly primaries: readonly ClusterNode[];
  readonly replicas: readonly ClusterNode[];
  /** The node that holds the slot by now. */
  holder(slot: number): Promise<ClusterNode>;
  /**
   * Moves a slot with all that lies in it from one primary to another, as `redis-cli --cluster reshard`
   * does. `midway` is called when it is being moved, and everything has been.
   */
  move(
    slot: number,
    from: ClusterNode,
    to: ClusterNode,
    midway?: () => Promise<void>,
  ): Promise<void>;
  dispose(): Promise<void>;
}

export interface RedisClusterOptions {
  /** Lines of redis.conf for every node. */
  readonly config?: readonly string[];
}

export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const nodes = await Promise.all(
    Array.from({ length: PRIMARIES * 2 }, () => startNode(options.config ?? [])),
  );
  const [primaries, replicas] = [nodes.slice(0, PRIMARIES), nodes.slice(PRIMARIES)];
  const first = nodes[0];
  if (first === undefined) throw new Error("There is no node.");
  for (const [index, { client }] of primaries.entries()) {
    const [from, to] = [index, index + 1].map((n) => Math.round((n * SLOTS) / PRIMARIES));
    await client.sendCommand(["CLUSTER", "ADDSLOTSRANGE", String(from), String((to ?? 0) - 1)]);
    await client.sendCommand(["CLUSTER", "SET-CONFIG-EPOCH", String(index + 1)]);
  }
  for (const { server, bus } of nodes.slice(1)) {
    const address = ["127.0.0.1", String(server.port), String(bus)];
    await first.client.sendCommand(["CLUSTER", "MEET", ...address]);
  }
  await all(nodes, ({ client }) => knows(client, nodes.length));
  for (const [index, { client }] of replicas.entries()) {
    const { id = "" } = primaries[index] ?? {};
    await client.sendCommand(["CLUSTER", "REPLICATE", id]);
  }
  await all(nodes, isReady);
  return {
    urls: nodes.map(({ server }) => server.url),
    primaries,
    replicas,
    holder: (slot) => holder(slot, nodes),
    move: (slot, from, to, midway) => move(slot, from, to, nodes, midway),
    dispose: async () => {
      for (const { client } of nodes) client.destroy();
      await Promise.all(nodes.map(({ server }) => server.dispose()));
    },
  };
}

async function startNode(config: readonly string[]): Promise<ClusterNode> {
  const port = await freePort();
  const bus = await freePort();
  const server = await startRedisServer({
    port,
    config: [
      "cluster-enabled yes",
      `cluster-port ${bus}`,
      "cluster-node-timeout 2000",
      "cluster-replica-validity-factor 0",
      ...config,
    ],
  });
  const client = createClient({ url: server.url }) as Client;
  // One that was killed is looked for again and again.
  client.on("error", () => {});
  await client.connect();
  return { server, bus, client, id: String(await client.sendCommand(["CLUSTER", "MYID"])) };
}

/** What is to be true on every node; gossip takes its time. */
async function all(
  nodes: readonly ClusterNode[],
  condition: (node: ClusterNode) => Promise<boolean>,
): Promise<void> {
  for (const node of nodes) while (!(await condition(node))) await wait(20);
}

async function knows(client: Client, count: number): Promise<boolean> {
  const lines = String(await client.sendCommand(["CLUSTER", "NODES"]))
    .trim()
    .split("\n");
  return lines.length === count && !lines.some((line) => line.includes("handshake"));
}

async function isReady({ client }: ClusterNode): Promise<boolean> {
  const info = String(await client.sendCommand(["CLUSTER", "INFO"]));
  if (!info.includes("cluster_state:ok")) return false;
  // Each primary is known to have its replica, and each replica has what its primary has.
  const ranges: unknown = await client.sendCommand(["CLUSTER", "SLOTS"]);
  if (!Array.isArray(ranges) || ranges.length !== PRIMARIES) return false;
  if (!ranges.every((range) => Array.isArray(range) && range.length === 4)) return false;
  return !(await client.info("replication")).includes("master_link_status:down");
}

async function move(
  slot: number,
  from: ClusterNode,
  to: ClusterNode,
  nodes: readonly ClusterNode[],
  midway: () => Promise<void> = async () => {},
): Promise<void> {
  const setSlot = (node: ClusterNode, ...args: string[]): Promise<unknown> =>
    node.client.sendCommand(["CLUSTER", "SETSLOT", String(slot), ...args]);
  await setSlot(to, "IMPORTING", from.id);
  await setSlot(from, "MIGRATING", to.id);
  for (;;) {
    const keys = await from.client.sendCommand(["CLUSTER", "GETKEYSINSLOT", String(slot), "100"]);
    if (!Array.isArray(keys) || keys.length === 0) break;
    const target = ["127.0.0.1", String(to.server.port), "", "0", "5000"];
    await from.client.sendCommand(["MIGRATE", ...target, "KEYS", ...keys.map(String)]);
  }
  await midway();
  const others = nodes.filter((node) => node !== to && node !== from && node.client.isReady);
  for (const node of [to, from, ...others]) await setSlot(node, "NODE", to.id).catch(() => {});
}

async function holder(slot: number, nodes: readonly ClusterNode[]): Promise<ClusterNode> {
  for (;;) {
    for (const node of nodes) {
      if (node.client.isReady && (await holds(node.client, slot))) return node;
    }
    await wait(20);
  }
}

/** Whether the node itself, being a primary, says that the slot is its own. */
async function holds(client: Client, slot: number): Promise<boolean> {
  const nodes = String(await client.sendCommand(["CLUSTER", "NODES"]));
  const own = nodes.split("\n").find((line) => line.includes("myself,master"));
  const ranges = own?.trim().split(" ").slice(8) ?? [];
  return ranges.some((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return first !== undefined && last !== undefined && first <= slot && slot <= last;
  });
}
