import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

/** All connections read into one buffer: what they got is looked at before the next read. */
const BUFFER = Buffer.allocUnsafe(256 * 1024);

/**
 * A WebSocket client that does nothing but count: it hands over the bytes after the handshake as they
 * come. A full client would use more CPU than the server it measures.
 */
export function connectRaw(
  port: number,
  onBytes: (bytes: Buffer) => void,
  target = "/",
  subprotocol?: string,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let header = "";
    let upgraded = false;
    const onread = {
      buffer: BUFFER,
      callback: (length: number, buffer: Uint8Array): boolean => {
        const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);
        if (upgraded) {
          onBytes(bytes);
          return true;
        }
        header += bytes.toString("latin1");
        const end = header.indexOf("\r\n\r\n");
        if (end < 0) return true;
        if (!header.startsWith("HTTP/1.1 101")) reject(new Error(header));
        upgraded = true;
        resolve(socket);
        const rest = Buffer.from(header.slice(end + 4), "latin1");
        if (rest.length > 0) onBytes(rest);
        return true;
      },
    };
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, onread });
    socket.on("error", reject);
    socket.write(
      `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` +
        `${subprotocol === undefined ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`}\r\n`,
    );
  });
}

/** A masked text frame of a client (RFC 6455 section 5.2), for payloads below 126 bytes; the mask is 0. */
export function clientFrame(payload: string): Buffer {
  const frame = Buffer.alloc(6 + payload.length);
  frame[0] = 0x81;
  frame[1] = 0x80 | payload.length;
  frame.write(payload, 6, "latin1");
  return frame;
}
