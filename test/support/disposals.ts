import { afterEach } from "vitest";

/** Collects what a test file must end after each test, newest first. */
export function useDisposals(): (dispose: () => unknown) => void {
  const disposals: (() => unknown)[] = [];
  afterEach(async () => {
    for (const dispose of disposals.splice(0).reverse()) await dispose();
  });
  return (dispose) => void disposals.push(dispose);
}
