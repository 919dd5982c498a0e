import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What a server has used so far. */
export interface Usage {
  readonly cpuMicroseconds: number;
  /** Resident bytes; of a process with `--expose-gc`, after a collection. */
  readonly residentBytes: number;
}

/** Tells the benchmark where the server listens, and what it has used whenever it asks. */
export function report(server: Server): void {
  const { port } = server.address() as AddressInfo;
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    globalThis.gc?.();
    const usage: Usage = {
      cpuMicroseconds: user + system,
      residentBytes: process.memoryUsage.rss(),
    };
    process.send?.(usage);
  });
  process.on("disconnect", () => process.exit());
  process.send?.({ port });
}
