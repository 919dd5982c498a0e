import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireTool, tools } from "../../scripts/lib/system-tools.mjs";

/** A certificate that is its own authority, as files. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
  /** Lines of redis.conf that make a server take TLS on this port, and nothing else. */
  redisConfig(port: number): string[];
  dispose(): void;
}

/** Makes a certificate for names such as `DNS:localhost` and `IP:127.0.0.1`. */
export function makeCertificate(...names: readonly string[]): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-certificate-"));
  const certificate = join(folder, "certificate.pem");
  const key = join(folder, "key.pem");
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", "/CN=test", "-addext", `subjectAltName=${names.join()}`];
  const files = ["-keyout", key, "-out", certificate];
  const args = ["req", "-x509", "-days", "2", ...newKey, ...subject, ...files];
  execFileSync(requireTool(tools.openssl), args, { stdio: ["ignore", "ignore", "pipe"] });
  return {
    certificate,
    key,
    redisConfig: (port) => [
      "port 0",
      `tls-port ${port}`,
      `tls-cert-file ${certificate}`,
      `tls-key-file ${key}`,
      "tls-auth-clients no",
      `tls-ca-cert-file ${certificate}`,
    ],
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
