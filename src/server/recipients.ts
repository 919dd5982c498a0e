import type { Channel, Exclusion, MessagePacket } from "../backplane/broker.ts";
import { DenseSet, type Members } from "../connections/dense-set.ts";
import type { Registry } from "../connections/registry.ts";
import type { FanOut } from "../fanout/fan-out.ts";
import type { ServerConnection } from "./server-connection.ts";

/**
 * Queues a message to the connections of this instance that its channel names. Answers how many they
 * were.
 */
export function deliverLocally(
  registry: Registry<ServerConnection>,
  fanOut: FanOut,
  channel: Channel,
  packet: MessagePacket,
): number {
  const members = membersOf(registry, channel);
  if (members.size === 0) return 0;
  const left = packet.except === null ? NOBODY : leftOut(registry, members, packet.except);
  fanOut.deliverAll(packet.message.plain, members.items, left);
  return members.size - left.length;
}

/** The connections of this instance that a channel of many stands for. Valid until the next change. */
export function membersOf(
  registry: Registry<ServerConnection>,
  channel: Channel,
): Members<ServerConnection> {
  if (channel.startsWith("room:")) return registry.inRoom(channel.slice("room:".length));
  if (channel.startsWith("user:")) return registry.ofUser(channel.slice("user:".length));
  // On an instance's channel a packet names its connection; without one it is for nobody.
  return channel === "broadcast" ? registry.connections : NO_MEMBERS;
}

const NOBODY: readonly ServerConnection[] = [];
const NO_MEMBERS: Members<ServerConnection> = new DenseSet();

function leftOut(
  registry: Registry<ServerConnection>,
  members: Members<ServerConnection>,
  except: Exclusion,
): ServerConnection[] {
  const named = new Set<ServerConnection>();
  for (const id of except.connections) {
    const connection = registry.get(id);
    if (connection !== undefined) named.add(connection);
  }
  for (const user of except.users) {
    for (const connection of registry.ofUser(user).items) named.add(connection);
  }
  return [...named].filter((connection) => members.has(connection));
}
