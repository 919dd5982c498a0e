import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Tells the benchmark where the server listens, and how much CPU it has used whenever it asks. */
export function report(server: Server): void {
  const { port } = server.address() as AddressInfo;
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMicroseconds: user + system });
  });
  process.on("disconnect", () => process.exit());
  process.send?.({ port });
}
