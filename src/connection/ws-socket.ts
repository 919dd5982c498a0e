/**
 * A `WebSocket` of the library `ws`, as far as its type goes: declared here, so that the types of this package need
 * neither those of `ws` nor the version of `@types/node` that these would bring along.
 */
export interface WsSocket {
  readonly readyState: number;
  readonly protocol: string;
  on(event: string, listener: (...args: never[]) => void): unknown;
  close(code?: number, reason?: string): void;
  terminate(): void;
}
