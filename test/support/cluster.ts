import { spawn } from "node:child_process";
import { join } from "node:path";
import { Client } from "./client.ts";
import { end, ProcessOutput } from "./process-output.ts";
import { repositoryRoot } from "./repository.ts";

/** A process of `cluster-instance.ts`. */
export interface ClusterInstance {
  readonly id: string;
  /** The lines it has printed: what happened, in order. */
  readonly lines: readonly string[];
  /** Waits until it has printed so. */
  printed(pattern: RegExp): Promise<unknown>;
  connect(user: string): Promise<Client>;
  /** Ends it like a crash (SIGKILL). */
  kill(): Promise<void>;
  /** Freezes it (SIGSTOP) and lets it go on (SIGCONT). */
  freeze(): void;
  unfreeze(): void;
}

/** `redisUrl`: several behind commas are nodes of a Redis Cluster. */
export async function startInstance(
  redisUrl: string,
  id: string,
  leaseMs: number,
  env: Readonly<Record<string, string>> = {},
): Promise<ClusterInstance> {
  const script = join(repositoryRoot, "test/support/cluster-instance.ts");
  const child = spawn(
    process.execPath,
    ["--import", "tsx", script, redisUrl, id, String(leaseMs)],
    { cwd: repositoryRoot, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const output = new ProcessOutput(child);
  const [, port] = await output.match(/listening on (\d+)/);
  return {
    id,
    get lines() {
      return output.text.split("\n");
    },
    printed: (pattern) => output.match(pattern),
    connect: (user) => Client.connect(`ws://127.0.0.1:${port}/?user=${user}`),
    kill: () => end(child, "SIGKILL"),
    freeze: () => void child.kill("SIGSTOP"),
    unfreeze: () => void child.kill("SIGCONT"),
  };
}
