/** Something that went wrong in a way its message fully explains; shown without a stack. */
export class StepError extends Error {
  /** @override */
  name = "StepError";
}

/**
 * Runs one named piece of work and says on one line how it went and how long it took.
 *
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const started = performance.now();
  const took = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const live = process.stdout.isTTY;
  process.stdout.write(live ? `… ${title}` : "");
  const finish = (/** @type {string} */ mark) =>
    process.stdout.write(`${live ? "\r\x1b[K" : ""}${mark} ${title} (${took()})\n`);
  try {
    const result = await work();
    finish("✓");
    return result;
  } catch (error) {
    finish("✗");
    throw error;
  }
}

/**
 * @param {unknown} error
 * @returns {string} its message alone when that explains it, else its stack
 */
export function explain(error) {
  if (error instanceof StepError) return error.message;
  return error instanceof Error && error.stack ? error.stack : String(error);
}
