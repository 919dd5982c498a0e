import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";

/** A child process with both outputs piped to us. */
export type PipedProcess = ChildProcessByStdio<null, Readable, Readable>;

/** Everything a process prints, kept, and a way to wait for what it will print. */
export class ProcessOutput {
  readonly #child: PipedProcess;
  #text = "";
  #onChange: () => void = () => {};

  constructor(child: PipedProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#text += text;
        this.#onChange();
      });
    }
    child.once("close", () => this.#onChange());
  }

  /** What came on stdout and stderr so far. */
  get text(): string {
    return this.#text;
  }

  /**
   * Waits until the output matches.
   *
   * @throws Error with the whole output, when the process ends without it
   */
  match(pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const match = this.#text.match(pattern);
        const { exitCode, signalCode } = this.#child;
        if (match) resolve(match);
        else if (exitCode !== null || signalCode !== null) {
          const end = exitCode ?? signalCode;
          reject(new Error(`ended with ${end} before printing ${pattern}:\n${this.#text}`));
        } else return;
        this.#onChange = () => {};
      };
      this.#onChange = check;
      check();
    });
  }
}

/** Ends a process with a signal and waits until it is gone; does nothing when it is. */
export async function end(child: PipedProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}
