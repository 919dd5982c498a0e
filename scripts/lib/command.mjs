import { spawn } from "node:child_process";
import { StepError } from "./steps.mjs";

/**
 * @typedef {object} CommandResult
 * @property {number} code the exit code; 128 when a signal ended it, 127 when it did not start
 * @property {string} stdout
 * @property {string} output stdout and stderr as they came
 */

/**
 * Runs a program to its end and keeps what it printed.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<CommandResult>} never rejects
 */
export function capture(file, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    child.once("error", (error) => resolve({ code: 127, stdout, output: output + error.message }));
    child.once("close", (code) => resolve({ code: code ?? 128, stdout, output }));
  });
}

/**
 * Runs a program that has to succeed.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<CommandResult>}
 * @throws {StepError} with everything it printed, when it fails
 */
export async function run(file, args, options) {
  const result = await capture(file, args, options);
  if (result.code !== 0) {
    const command = [file, ...args].join(" ");
    throw new StepError(`${result.output.trimEnd()}\n\`${command}\` ended with ${result.code}.`);
  }
  return result;
}

/**
 * The npm that is running us, or the one on PATH, as a program and its first arguments.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {[string, ...string[]]}
 */
export function npmCommand(env = process.env) {
  const npm = env.npm_execpath;
  return npm && /npm-cli\.c?js$/.test(npm) ? [process.execPath, npm] : ["npm"];
}
