/** So many ranges for each doubling: values are told apart by 2 %. */
const PER_DOUBLING = 32;
/** What is faster counts as this, in milliseconds. */
const SMALLEST = 0.001;

/**
 * How long many things took, in memory that does not grow: ranges whose width is 2 % of where they are, as in HdrHistogram,
 * so that the slowest of a million are told as exactly as the fastest.
 */
export class Latencies {
  readonly #counts: number[] = [];
  count = 0;
  sum = 0;
  max = 0;

  /** In milliseconds. */
  add(ms: number): void {
    const range = Math.max(0, Math.floor(Math.log2(ms / SMALLEST) * PER_DOUBLING));
    while (this.#counts.length <= range) this.#counts.push(0);
    this.#counts[range] = (this.#counts[range] ?? 0) + 1;
    this.count++;
    this.sum += ms;
    if (ms > this.max) this.max = ms;
  }

  /** What so large a share of all was no slower than, in milliseconds; 0 where there are none. */
  percentile(share: number): number {
    const wanted = share * this.count;
    let below = 0;
    for (const [range, count] of this.#counts.entries()) {
      below += count;
      if (below >= wanted && count > 0) return Math.min(this.max, endOf(range));
    }
    return this.max;
  }

  /** How many were between two times, in milliseconds; the first is not among them. */
  between(from: number, to: number): number {
    return this.#counts.reduce((sum, count, range) => {
      const end = endOf(range);
      return end > from && end <= to ? sum + count : sum;
    }, 0);
  }
}

function endOf(range: number): number {
  return SMALLEST * 2 ** ((range + 1) / PER_DOUBLING);
}
