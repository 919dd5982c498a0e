import type { Attachment, Backplane, Instance } from "../contract/backplane.ts";
import { MemoryBroker, MemoryChannels } from "./memory-broker.ts";
import { MemoryHistory, MemoryLogs } from "./memory-history.ts";
import { MemoryPresence, MemoryPresenceTable } from "./memory-presence.ts";
import { MemoryReceipts } from "./memory-receipts.ts";
import { MemoryQueue, MemoryTasks } from "./memory-tasks.ts";

/**
 * A backplane within this process. Managers that share one behave as a cluster, with the same
 * semantics as on Redis, except that nothing survives the process.
 */
export function memoryBackplane(): Backplane {
  const channels = new MemoryChannels();
  const table = new MemoryPresenceTable();
  const logs = new MemoryLogs();
  const receipts = new MemoryReceipts();
  const queues = new Map<string, MemoryQueue>();
  return {
    attach: (instance: Instance): Attachment => {
      const broker = new MemoryBroker(channels, instance);
      return {
        kind: "memory",
        broker,
        history: new MemoryHistory(logs, broker),
        receipts,
        presence: new MemoryPresence(table, instance),
        start: async () => void table.attached.add(instance),
        stop: async () => {
          table.attached.delete(instance);
          broker.close();
        },
      };
    },
    tasks: (terms, observer) => {
      const queue = queues.get(terms.queue) ?? new MemoryQueue();
      queues.set(terms.queue, queue);
      return new MemoryTasks(queue, terms, observer);
    },
  };
}
