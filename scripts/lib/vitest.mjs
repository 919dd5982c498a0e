import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The part of vitest's JSON report that is read here.
 *
 * @typedef {object} VitestReport
 * @property {{ name: string, status: string, assertionResults: { fullName: string, status: string }[] }[]} testResults
 */

/**
 * Counts the tests. A file that could not be loaded is one failure, and so is every test that was
 * left out: what did not run has shown nothing.
 *
 * @param {VitestReport | undefined} report
 * @param {number} exitCode of vitest, which also fails for errors outside of any test
 * @returns {{ passed: number, failed: number, remarks: string[] }}
 */
export function countTests(report, exitCode) {
  const count = { passed: 0, failed: 0, remarks: /** @type {string[]} */ ([]) };
  for (const file of report?.testResults ?? []) {
    const failedBefore = count.failed;
    for (const test of file.assertionResults) {
      if (test.status === "passed") count.passed++;
      else count.failed++;
      if (test.status !== "passed" && test.status !== "failed") {
        count.remarks.push(
          `Counted as failed, since it did not run (${test.status}): ${test.fullName}`,
        );
      }
    }
    if (file.status !== "passed" && count.failed === failedBefore) {
      count.failed++;
      count.remarks.push(`Counted as failed: ${file.name}`);
    }
  }
  if (exitCode !== 0 && count.failed === 0) {
    count.failed++;
    count.remarks.push(`Counted as a failure: vitest ended with ${exitCode} outside of any test.`);
  }
  return count;
}

/**
 * Runs the tests, on our own terminal.
 *
 * @param {string} root
 * @param {readonly string[]} args for vitest, such as file names
 */
export async function runVitest(root, args) {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-tests-"));
  const file = join(folder, "report.json");
  try {
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    const child = spawn(process.execPath, [vitest, "run", ...reporters, ...args], {
      cwd: root,
      stdio: "inherit",
    });
    const exitCode = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => resolve(code ?? 128));
    });
    const report = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
    return countTests(report, exitCode);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
