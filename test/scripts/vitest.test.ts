import { expect, test } from "vitest";
import { countTests } from "../../scripts/lib/vitest.mjs";

const file = (status: string, ...statuses: string[]) => ({
  name: "some.test.ts",
  status,
  assertionResults: statuses.map((status, index) => ({ fullName: `test ${index}`, status })),
});

test("passed and failed tests are counted over all files", () => {
  const report = { testResults: [file("passed", "passed", "passed"), file("failed", "failed")] };
  expect(countTests(report, 1)).toEqual({ passed: 2, failed: 1, remarks: [] });
});

test.each(["pending", "skipped", "todo"])("a test left out as %s counts as failed", (status) => {
  const { passed, failed, remarks } = countTests(
    { testResults: [file("passed", "passed", status)] },
    0,
  );
  expect([passed, failed]).toEqual([1, 1]);
  expect(remarks).toEqual([`Counted as failed, since it did not run (${status}): test 1`]);
});

test("a file that could not be loaded counts as failed", () => {
  const { failed, remarks } = countTests({ testResults: [file("failed")] }, 1);
  expect(failed).toBe(1);
  expect(remarks).toEqual(["Counted as failed: some.test.ts"]);
});

test("an error outside of any test counts as failed", () => {
  expect(countTests({ testResults: [file("passed", "passed")] }, 1).failed).toBe(1);
  expect(countTests(undefined, 1).failed).toBe(1);
});
