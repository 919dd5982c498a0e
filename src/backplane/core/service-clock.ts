/** How long the last of what was written by a lost connection may take to be read by others; in milliseconds. */
const OVERLAP_MS = 60_000;

/** What an instance knows of the clock of the service, from when it last heard of it. */
export class ServiceClock {
  /** When that was. */
  #heardAt: number = performance.now();
  /** The clock of the service, less that of this process; in milliseconds. */
  #offset: number = Date.now() - performance.now();

  /** The service has just said what time it is, in milliseconds. */
  heard(now: number): void {
    this.#heardAt = performance.now();
    this.#offset = now - this.#heardAt;
  }

  /** What is changed at this moment has about this version, in microseconds. */
  get version(): number {
    return Math.floor((performance.now() + this.#offset) * 1000);
  }

  /** No higher than the version of any change that was made since the service was last heard of. */
  get missedFrom(): number {
    return (this.#heardAt + this.#offset - OVERLAP_MS) * 1000;
  }
}
