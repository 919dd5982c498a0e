import type { Logger } from "./logger.ts";

/** What is said of whom; every line has `instance` and `pid` besides. */
export interface LogFields {
  readonly connection?: string;
  readonly user?: string | undefined;
  readonly [field: string]: unknown;
}

/** Says what happens on one instance through a user's logger; without one it says nothing and costs nothing. */
export class Log implements Logger {
  readonly #logger: Logger | null;
  readonly #instance: string;

  constructor(logger: Logger | null, instance: string) {
    this.#logger = logger;
    this.#instance = instance;
  }

  /** Whether anybody reads it: whoever would have to put fields together first may ask. */
  get isOn(): boolean {
    return this.#logger !== null;
  }

  debug(fields: LogFields, message: string): void {
    this.#logger?.debug(this.#complete(fields), message);
  }

  info(fields: LogFields, message: string): void {
    this.#logger?.info(this.#complete(fields), message);
  }

  warn(fields: LogFields, message: string): void {
    this.#logger?.warn(this.#complete(fields), message);
  }

  error(fields: LogFields, message: string): void {
    this.#logger?.error(this.#complete(fields), message);
  }

  #complete(fields: LogFields): object {
    return { instance: this.#instance, pid: process.pid, ...fields };
  }
}
