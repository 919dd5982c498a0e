/** `work`, whose failure is also told to `failed`, so that nobody need await it. */
export function unawaited<T>(work: Promise<T>, failed: (error: unknown) => void): Promise<T> {
  work.then(undefined, failed);
  return work;
}

/** What `work` returns; a rejection if it throws. */
export function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(error);
  }
}
