/** Upper bounds of durations, in seconds: from a tenth of a millisecond, which is a quiet turn, to a stalled service. */
const DURATIONS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];

/** How values are spread over ranges with fixed bounds, as Prometheus has it: memory that does not grow. */
export class Histogram {
  /** Each range includes its upper bound. */
  readonly bounds: readonly number[];
  /** How many values fell into each range; the last is above all bounds. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[] = DURATIONS) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let range = 0;
    while (value > (this.bounds[range] ?? Number.POSITIVE_INFINITY)) range++;
    this.counts[range] = (this.counts[range] ?? 0) + 1;
    this.sum += value;
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}
