// Publishes an alert from a process that has no connections, such as a nightly job:
//
//   REDIS_URL=redis://localhost:6379 node --import tsx examples/monitoring/publish.ts critical "The disk is full"
import { ConnectionManager } from "roomcast";
import { redisBackplane } from "roomcast/redis";
import { type Alert, Monitor } from "./monitor.ts";

const [level = "info", text = "Hello"] = process.argv.slice(2);
if (!isLevel(level)) throw new RangeError(`level is ${level}, not info, warning or critical.`);

const { REDIS_URL: url = "redis://localhost:6379" } = process.env;
const manager = new ConnectionManager({ backplane: redisBackplane({ url }) });
await manager.start();
await new Monitor(manager).publishAlert({ level, text });
await manager.stop();

function isLevel(value: string): value is Alert["level"] {
  return ["info", "warning", "critical"].includes(value);
}
