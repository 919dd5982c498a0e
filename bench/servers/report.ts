import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What a server has used so far. */
export interface Usage {
  readonly cpuMicroseconds: number;
  readonly residentBytes: number;
}

/** Tells the benchmark where the server listens, and what it has used whenever it asks. */
export function report(server: Server): void {
  const { port } = server.address() as AddressInfo;
  process.on("message", (question: "collect" | object) => {
    // Apart from the measuring: collecting is not what a server does for a connection.
    if (question === "collect") globalThis.gc?.();
    const { user, system } = process.cpuUsage();
    const usage: Usage = {
      cpuMicroseconds: user + system,
      residentBytes: process.memoryUsage.rss(),
    };
    process.send?.(usage);
  });
  process.on("disconnect", () => process.exit());
  process.send?.({ port });
}
