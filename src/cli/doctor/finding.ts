/** What an examination found: all is well, it works but could be better, or it does not work. */
export type Grade = "well" | "warning" | "fault";

export interface Finding {
  readonly subject: string;
  readonly grade: Grade;
  /** What was found. */
  readonly found: string;
  /** What to change; null: nothing. */
  readonly advice: string | null;
}

export function well(subject: string, found: string): Finding {
  return { subject, grade: "well", found, advice: null };
}

export function warning(subject: string, found: string, advice: string): Finding {
  return { subject, grade: "warning", found, advice };
}

export function fault(subject: string, found: string, advice: string): Finding {
  return { subject, grade: "fault", found, advice };
}

/** In milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** The one in the middle. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
