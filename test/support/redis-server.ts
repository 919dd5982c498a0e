import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";
import { freePort } from "./free-port.ts";
import { end, ProcessOutput } from "./process-output.ts";

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Where its data lies. */
  readonly folder: string;
  /** Ends it like a crash (SIGKILL) and waits until it is gone. */
  kill(): Promise<void>;
  /** Freezes it (SIGSTOP): connections stay open and nothing answers. */
  stop(): void;
  /** Lets a frozen one go on (SIGCONT). */
  cont(): void;
  /** Ends it and removes its folder. */
  dispose(): Promise<void>;
}

export interface RedisServerOptions {
  /** Lines of redis.conf, such as `maxmemory 10mb`. */
  config?: readonly string[];
  /** The port of one that was killed, to come back in its place; else a free one. */
  port?: number;
  /** A folder with the data of one that was killed; else a new one, removed by dispose. */
  folder?: string;
}

/** Starts a real redis-server on loopback, saving nothing unless its config says so. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { config = [], port = await freePort(), folder } = options;
  const dir = folder ?? mkdtempSync(join(tmpdir(), "roomcast-redis-"));
  const lines = ["bind 127.0.0.1", `port ${port}`, `dir "${dir}"`, 'save ""', ...config];
  const file = join(dir, "redis.conf");
  writeFileSync(file, lines.join("\n"));
  const child = spawn(requireTool(tools.redis), [file], { stdio: ["ignore", "pipe", "pipe"] });
  await new ProcessOutput(child).match(/Ready to accept connections/);
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    folder: dir,
    kill: () => end(child, "SIGKILL"),
    stop: () => void child.kill("SIGSTOP"),
    cont: () => void child.kill("SIGCONT"),
    async dispose() {
      await end(child, "SIGKILL");
      if (!folder) rmSync(dir, { recursive: true, force: true });
    },
  };
}
