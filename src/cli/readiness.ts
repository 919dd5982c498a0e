import type { ConnectionManager } from "../server/connection-manager.ts";
import { bytes } from "./figures.ts";

export interface Readiness {
  readonly status: 200 | 503;
  readonly body: object;
}

/** Whether an instance may be sent new connections, and if not, why. Asks Redis nothing that is not known already. */
export async function readinessOf(
  manager: ConnectionManager,
  maxMemoryBytes: number | null,
): Promise<Readiness> {
  const health = await manager.health();
  const reasons: string[] = [];
  if (health.status === "draining") reasons.push("It is about to stop.");
  if (health.status === "degraded") {
    reasons.push("Redis cannot be reached: messages stay on this instance.");
  }
  const resident = process.memoryUsage.rss();
  if (maxMemoryBytes !== null && resident > maxMemoryBytes) {
    reasons.push(
      `It takes ${bytes(resident)} of memory, over the limit of ${bytes(maxMemoryBytes)}.`,
    );
  }
  return reasons.length === 0
    ? { status: 200, body: health }
    : { status: 503, body: { ...health, reasons } };
}
