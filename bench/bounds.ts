import { setTimeout as wait } from "node:timers/promises";
import { Process } from "./process.ts";

const HELP = `Usage: npm run bench:bounds

Fills what is bounded in bytes with far more than its bound, short entries and long ones, and compares the bound
with the memory that the process really takes for it. Ends with code 1 if one takes more than 1.5 times.
`;
if (process.argv.includes("--help")) {
  process.stdout.write(HELP);
  process.exit();
}

/** How many times its bound something may take. */
const MOST = 1.5;
const SUBJECTS = ["logs", "rings", "receipts", "held", "backlog"] as const;
/** Bytes of one message. */
const SIZES = [10, 1000, 50_000];

let isOver = false;
for (const subject of SUBJECTS) {
  for (const size of SIZES) {
    const one = new Process("./servers/bounds.ts", 0, ["--expose-gc"]);
    await one.next();
    const { taken, bound } = await one.ask<{ taken: number; bound: number }>({ subject, size });
    const times = taken / bound;
    isOver ||= times > MOST;
    console.log(
      `${subject.padEnd(9)} of ${String(size).padStart(6)} bytes: ${(taken / 1e6).toFixed(1).padStart(7)} MB taken, ` +
        `bound ${(bound / 1e6).toFixed(1).padStart(6)} MB, ${times.toFixed(2)} times`,
    );
    await one.end();
    await wait(10);
  }
}
console.log(isOver ? "A BOUND DOES NOT HOLD" : "all bounds hold");
process.exitCode = isOver ? 1 : 0;
