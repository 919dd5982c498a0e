import { spawn } from "node:child_process";
import { join } from "node:path";
import { end, type PipedProcess, ProcessOutput } from "./process-output.ts";
import { repositoryRoot } from "./repository.ts";

export interface ServeProcess {
  /** Such as `http://127.0.0.1:45123`. */
  readonly url: string;
  /** The same with `ws:`. */
  readonly wsUrl: string;
  readonly port: number;
  readonly process: PipedProcess;
  /** Everything it printed so far. */
  output(): string;
  /** Asks it to stop (SIGTERM) and waits until it has; resolves to the exit code. */
  stop(): Promise<number | null>;
  /** Ends it like a crash. */
  dispose(): Promise<void>;
}

export interface ServeOptions {
  args?: readonly string[];
  /** Added to our environment; `PORT` is 0 unless given here. */
  env?: Readonly<Record<string, string>>;
}

/** Runs `roomcast serve` from dist/ as a process of its own and waits until it listens. */
export async function startServe({
  args = [],
  env = {},
}: ServeOptions = {}): Promise<ServeProcess> {
  const command = join(repositoryRoot, "dist/cli/main.js");
  const child = spawn(process.execPath, [command, "serve", ...args], {
    env: { ...process.env, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = new ProcessOutput(child);
  const [url] = await output.match(/http:\/\/\S+?:\d+(?=\D)/);
  return {
    url,
    wsUrl: url.replace("http:", "ws:"),
    port: Number(new URL(url).port),
    process: child,
    output: () => output.text,
    async stop() {
      await end(child, "SIGTERM");
      return child.exitCode;
    },
    dispose: () => end(child, "SIGKILL"),
  };
}
