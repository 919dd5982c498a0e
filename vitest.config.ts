import { defineConfig } from "vitest/config";

/** Tests that start browsers and fleets of processes: one file at a time, the machine to itself. */
const heavy = [
  "test/browser/**/*.test.ts",
  "test/cluster/**/*.test.ts",
  "test/deploy/**/*.test.ts",
];

export default defineConfig({
  test: {
    // What tests that pass have printed says nothing.
    silent: "passed-only",
    pool: "forks",
    // Long enough for a loaded two-core machine; a test that hangs still ends.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // What is waited for takes as long as the machine takes; the default is a second.
    expect: { poll: { timeout: 100_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: heavy,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "system",
          include: heavy,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
