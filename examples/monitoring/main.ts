// Several workers on one port, and one page that shows them all, whichever of them it is connected to:
//
//   REDIS_URL=redis://localhost:6379 WORKERS=3 node --import tsx examples/monitoring/main.ts
import cluster from "node:cluster";
import { work } from "./worker.ts";

const { REDIS_URL = "redis://localhost:6379", PORT = "8000", WORKERS = "3" } = process.env;

if (cluster.isPrimary) {
  for (let i = 0; i < Number(WORKERS); i++) cluster.fork();
  cluster.once("listening", (_worker, { port }) => {
    console.log(`${WORKERS} workers listen on http://127.0.0.1:${port}`);
  });
} else {
  await work(REDIS_URL, Number(PORT));
}
