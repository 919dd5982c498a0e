import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const CAN_PIN = spawnSync("taskset", ["--version"]).status === 0;

/** A process of the benchmark, pinned to a core where `taskset` exists. */
export class Process {
  readonly #child: ChildProcess;

  constructor(script: string, core: number, flags: readonly string[] = []) {
    const file = fileURLToPath(new URL(script, import.meta.url));
    const node = [process.execPath, ...flags, "--import", "tsx", file];
    const [command = "", ...rest] = CAN_PIN ? ["taskset", "-c", String(core), ...node] : node;
    this.#child = spawn(command, rest, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child.on("exit", (code) => {
      if (code !== 0 && code !== null) throw new Error(`${script} ended with code ${code}.`);
    });
  }

  /** The next message the process sends. */
  async next<T>(): Promise<T> {
    const [message] = await once(this.#child, "message");
    return message;
  }

  async ask<T>(question: object | string): Promise<T> {
    const answer = this.next<T>();
    this.#child.send(question);
    return answer;
  }

  async end(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}
