import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { ConnectionManager, WebSocketRouter } from "roomcast";
import { redisBackplane } from "roomcast/redis";
import { ALERTS, METRICS, Monitor } from "./monitor.ts";

const EVERY_MS = 1000;
const SLOW_MS = 200;

const page = readFileSync(new URL("page.html", import.meta.url));

/** One of several workers: serves the page, forwards what all publish, and publishes what it measures. */
export async function work(redisUrl: string, port: number): Promise<void> {
  const manager = new ConnectionManager({ backplane: redisBackplane({ url: redisUrl }) });
  const router = new WebSocketRouter(manager);
  router.public("/monitoring", {
    open: async (connection) => {
      await connection.join(METRICS);
      await connection.join(ALERTS);
    },
  });
  const server = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(page);
  });
  router.attach(server);
  manager.on("error", (error) => console.error(String(error)));
  await manager.start();
  server.listen(port, "127.0.0.1");
  measure(manager);
}

function measure(manager: ConnectionManager): void {
  const monitor = new Monitor(manager);
  const worker = `worker ${process.pid}`;
  const delay = monitorEventLoopDelay();
  delay.enable();
  setInterval(() => {
    const eventLoopMs = Math.round(delay.max / 1e6);
    delay.reset();
    const memoryMb = Math.round(process.memoryUsage.rss() / 2 ** 20);
    const { connectionCount: connections } = manager;
    void monitor.publishMetrics({ worker, connections, memoryMb, eventLoopMs });
    if (eventLoopMs > SLOW_MS) {
      const text = `${worker} did nothing else for ${eventLoopMs} ms`;
      void monitor.publishAlert({ level: "warning", text });
    }
  }, EVERY_MS).unref();
}
