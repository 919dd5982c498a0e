import cluster, { type Worker } from "node:cluster";
import { answerWorkers } from "./metrics.ts";

/** How long to wait before a worker that died is replaced, in milliseconds: it may die again. */
const PAUSE_MS = 1000;

/** What the first process tells its workers. */
const STOP = "stop";

/**
 * Runs `count` processes of this command on one port and keeps them running: one that dies is replaced.
 * Resolves to the port when all listen; if one cannot, all end and so does this process, with 1. The first signal
 * lets the workers drain, a second one ends everything at once.
 */
export async function runWorkers(count: number): Promise<number> {
  let stopping = false;
  const fork = (): Worker => cluster.fork();
  const workers = (): Worker[] => Object.values(cluster.workers ?? {}).flatMap((one) => one ?? []);
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      for (const worker of workers()) worker.process.kill("SIGKILL");
      process.exit(1);
    }
    stopping = true;
    console.log(`${signal}: ${count} workers say goodbye.`);
    for (const worker of workers()) worker.send(STOP);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);

  answerWorkers();
  const ports = await Promise.all(Array.from({ length: count }, fork).map(portOf));
  const [port = null] = ports;
  if (port === null || ports.includes(null)) {
    // The one that could not has said why.
    for (const worker of workers()) worker.process.kill("SIGKILL");
    process.exit(1);
  }
  // One that was still beginning when the others were told could not hear it.
  cluster.on("listening", (worker) => stopping && worker.send(STOP));
  cluster.on("exit", (worker) => {
    if (stopping) {
      if (workers().length === 0) process.exit(0);
      return;
    }
    console.log(`Worker ${worker.process.pid} is gone; another one takes its place.`);
    setTimeout(() => !stopping && fork(), PAUSE_MS);
  });
  return port;
}

/**
 * Calls `stop` when this process is told to stop: by a signal, or by the process whose worker it is. A
 * terminal sends Ctrl-C to workers too; they leave it to that process. `again` is called the second time.
 */
export function whenToldToStop(stop: (why: string) => void, again: () => void): void {
  let told = false;
  const tell = (why: string): void => {
    if (told) again();
    else stop(why);
    told = true;
  };
  if (cluster.isWorker) {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => {});
    process.on("message", (message) => message === STOP && !told && tell("stop"));
    // Without that process nobody could tell us.
    process.on("disconnect", () => !told && tell("disconnect"));
  } else {
    process.on("SIGTERM", tell);
    process.on("SIGINT", tell);
  }
}

/** The port a worker listens on; null if it ended instead. */
function portOf(worker: Worker): Promise<number | null> {
  return new Promise((resolve) => {
    worker.once("listening", ({ port }) => resolve(port));
    worker.once("exit", () => resolve(null));
  });
}
