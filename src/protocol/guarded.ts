/** `callback`, for a caller that must never see it throw (a timer, an emitter): what it throws goes to `failed`. */
export function guarded<A extends unknown[]>(
  callback: (...args: A) => void,
  failed: (error: unknown) => void,
): (...args: A) => void {
  return (...args) => {
    try {
      callback(...args);
    } catch (error) {
      failed(error);
    }
  };
}
