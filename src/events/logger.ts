/**
 * Where structured logs go; pino fits, and so does any logger of its shape. Fields hold no tokens and
 * no payloads. MUST NOT throw.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
