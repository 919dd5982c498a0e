import { spawn } from "node:child_process";
import { constants } from "node:os";

/** npm repeats to its child what a terminal has sent already; within this it is one request. */
const REPEAT_MS = 1_000;

/**
 * Whether a signal we got has to be passed on. A terminal's Ctrl-C reaches the child by itself,
 * because it goes to the whole group, and a server takes a second signal as "at once".
 *
 * @param {{ signal: string, interactive: boolean, now: number, last: number | undefined }} event
 *   last: when the same signal came before, in milliseconds
 * @returns {boolean}
 */
export function shouldForward({ signal, interactive, now, last }) {
  if (signal === "SIGINT" && interactive) return false;
  return last === undefined || now - last > REPEAT_MS;
}

/**
 * Runs a program in our place: our terminal, our environment, our signals.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @returns {Promise<number>} the exit code; 128 and the signal's number when a signal ended it
 */
export function supervise(file, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: "inherit" });
    /** @type {Map<string, number>} */
    const received = new Map();
    for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
      process.on(signal, () => {
        const now = performance.now();
        const last = received.get(signal);
        received.set(signal, now);
        const interactive = process.stdin.isTTY === true;
        if (shouldForward({ signal, interactive, now, last })) child.kill(signal);
      });
    }
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
