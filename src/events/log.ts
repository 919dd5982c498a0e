import { debugLogger } from "./debug-logger.ts";
import type { Logger } from "./logger.ts";

/** What is said of whom; every line has `instance` and `pid` besides. */
export interface LogFields {
  readonly connection?: string;
  readonly user?: string | undefined;
  readonly [field: string]: unknown;
}

/** So many different things are said once; after that, strangers could make up ever more. */
const MAX_SAID = 100;

/**
 * Says what happens on one instance through a user's logger. Without one it says on the console what somebody should
 * do something about, and with `DEBUG=roomcast` everything; otherwise it says nothing and costs nothing.
 */
export class Log implements Logger {
  readonly #instance: string;
  /** undefined: nobody has asked yet. The environment is not read before. */
  #logger: Logger | null | undefined;
  readonly #said: Set<string> = new Set();

  constructor(logger: Logger | undefined, instance: string) {
    this.#logger = logger;
    this.#instance = instance;
  }

  /** Whether anybody reads it: whoever would have to put fields together first may ask. */
  get isOn(): boolean {
    return this.#to !== null;
  }

  debug(fields: LogFields, message: string): void {
    this.#to?.debug(this.#complete(fields), message);
  }

  info(fields: LogFields, message: string): void {
    this.#to?.info(this.#complete(fields), message);
  }

  warn(fields: LogFields, message: string): void {
    this.#to?.warn(this.#complete(fields), message);
  }

  error(fields: LogFields, message: string): void {
    this.#to?.error(this.#complete(fields), message);
  }

  /** Warns of what somebody should do something about: without a logger, on the console. */
  advise(fields: LogFields, message: string): void {
    if (this.isOn) this.warn(fields, message);
    else console.warn(`roomcast: ${message}`);
  }

  /** Advises once for each `subject`. Whether it did now. */
  warnOnce(subject: string, fields: LogFields, message: string): boolean {
    if (this.#said.has(subject) || this.#said.size >= MAX_SAID) return false;
    this.#said.add(subject);
    this.advise(fields, message);
    return true;
  }

  get #to(): Logger | null {
    if (this.#logger === undefined) this.#logger = debugLogger(process.env.DEBUG);
    return this.#logger;
  }

  #complete(fields: LogFields): object {
    return { instance: this.#instance, pid: process.pid, ...fields };
  }
}
