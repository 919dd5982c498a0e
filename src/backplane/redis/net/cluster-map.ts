import { keySlot } from "../key-slot.ts";
import type { Keys } from "../keys.ts";
import type { Address, ClientFactory } from "./client-factory.ts";
import type { Client } from "./connection.ts";

/** How long a node may take to tell, in milliseconds. */
const DEADLINE_MS = 1500;

/** A node that takes writes, and the buckets it holds. */
export interface Primary {
  readonly address: Address;
  readonly buckets: readonly number[];
}

/** Makes clients of the one server there is, or of the node of a Cluster that holds a bucket at the time. */
export function clientsFor(
  clients: ClientFactory,
  keys: Keys,
  bucket: number,
): () => Promise<Client> {
  const { seeds } = clients;
  return seeds === null
    ? () => clients.make()
    : async () => clients.make(await findHolder(clients, seeds, keys.buckets.length, bucket));
}

/** Rejects with why the last node could not tell. */
async function findHolder(
  clients: ClientFactory,
  seeds: readonly Address[],
  buckets: number,
  bucket: number,
): Promise<Address> {
  let failure: unknown = new Error(`Nobody in the Redis Cluster holds bucket ${bucket}.`);
  for (const node of seeds) {
    try {
      const primaries = await readMap(clients, node, buckets);
      const holder = primaries.find((primary) => primary.buckets.includes(bucket));
      if (holder !== undefined) return holder.address;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/**
 * Asks a node of a Cluster which node holds which buckets. Nodes that hold none are left out; buckets that
 * nobody holds are too.
 */
export async function readMap(
  clients: ClientFactory,
  node: Address,
  buckets: number,
): Promise<Primary[]> {
  const client = await clients.make(node);
  const late = new Promise<never>((_resolve, reject) => {
    client.on("error", reject);
    setTimeout(() => reject(new Error("It did not answer in time.")), DEADLINE_MS).unref();
  });
  try {
    await Promise.race([client.connect(), late]);
    const answer = await Promise.race([client.sendCommand(["CLUSTER", "SLOTS"]), late]);
    return primariesIn(answer, node, buckets);
  } finally {
    // An answer that is still on its way must not count as an unhandled failure.
    late.catch(() => {});
    if (client.isOpen) client.destroy();
  }
}

/**
 * What the answer to CLUSTER SLOTS says of our buckets.
 * https://redis.io/docs/latest/commands/cluster-slots/
 */
export function primariesIn(answer: unknown, asked: Address, buckets: number): Primary[] {
  const ranges = (Array.isArray(answer) ? answer : []).flatMap((range) => {
    if (!Array.isArray(range) || !Array.isArray(range[2])) return [];
    const [first, last, [host, port]] = range;
    // A node that does not know its own name is the one that was asked.
    const named = typeof host === "string" && host !== "" && host !== "?";
    const address = { host: named ? host : asked.host, port: Number(port) };
    return [{ first: Number(first), last: Number(last), address }];
  });
  const primaries = new Map<string, { address: Address; buckets: number[] }>();
  for (let bucket = 0; bucket < buckets; bucket++) {
    const slot = keySlot(String(bucket));
    const range = ranges.find(({ first, last }) => first <= slot && slot <= last);
    if (range === undefined) continue;
    const name = nameOf(range.address);
    const primary = primaries.get(name);
    if (primary === undefined) primaries.set(name, { address: range.address, buckets: [bucket] });
    else primary.buckets.push(bucket);
  }
  return [...primaries.values()];
}

export function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
