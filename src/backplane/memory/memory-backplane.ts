import { checkOptions } from "../../protocol/check-options.ts";
import { checkSetting, wholeNumber } from "../../protocol/setting.ts";
import type { Attachment, Backplane, Instance } from "../contract/backplane.ts";
import { MemoryBroker, MemoryChannels } from "./memory-broker.ts";
import { MemoryHistory, MemoryLogs } from "./memory-history.ts";
import { MemoryPresence, MemoryPresenceTable } from "./memory-presence.ts";
import { MemoryReceipts } from "./memory-receipts.ts";
import { MemoryQueue, MemoryTasks } from "./memory-tasks.ts";

export interface MemoryBackplaneOptions {
  /** What the history of all rooms together may take of memory, in bytes. Default 256 MiB. */
  readonly maxHistoryBytes?: number;
}

const MAX_HISTORY_BYTES = wholeNumber("", 268_435_456, 4096, 2 ** 40, " (bytes)");

/**
 * A backplane within this process. Managers that share one behave as a cluster, with the same
 * semantics as on Redis, except that nothing survives the process.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 */
export function memoryBackplane(options: MemoryBackplaneOptions = {}): Backplane {
  checkOptions("memoryBackplane", options, ["maxHistoryBytes"]);
  const channels = new MemoryChannels();
  const table = new MemoryPresenceTable();
  const logs = new MemoryLogs(
    checkSetting("maxHistoryBytes", options.maxHistoryBytes, MAX_HISTORY_BYTES),
  );
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
