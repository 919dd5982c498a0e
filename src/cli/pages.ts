import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Answers with a page, 200 unless told otherwise. */
export type Page = (response: ServerResponse, status?: number) => void;

/** Where the build puts the pages, beside this file's folder. */
const FOLDER = fileURLToPath(new URL("../web/", import.meta.url));

const TYPES: ReadonlyMap<string, string> = new Map([
  [".html", "text/html; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".svg", "image/svg+xml"],
  [".png", "image/png"],
  [".ico", "image/x-icon"],
  [".webmanifest", "application/manifest+json"],
]);

const SECURITY_HEADERS = {
  "Content-Security-Policy":
    "default-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/**
 * The built pages by the path they are served at. They are read once: there are few, and nothing a
 * client sends is ever looked up on the disk.
 */
export function loadPages(): ReadonlyMap<string, Page> {
  const pages = new Map<string, Page>();
  if (!existsSync(FOLDER)) {
    pages.set("/", (response) => {
      response.writeHead(503, { "Content-Type": "text/plain; charset=utf-8" });
      response.end("The pages are not built yet: run npm run build.\n");
    });
    return pages;
  }
  for (const entry of readdirSync(FOLDER, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${file.slice(FOLDER.length).split(sep).join("/")}`;
    const page = makePage(readFileSync(file), path);
    pages.set(path, page);
    if (path.endsWith("/index.html")) pages.set(path.slice(0, -"index.html".length), page);
    else if (path.endsWith(".html")) pages.set(path.slice(0, -".html".length), page);
  }
  return pages;
}

function makePage(body: Buffer, path: string): Page {
  const headers = {
    ...SECURITY_HEADERS,
    "Content-Type": TYPES.get(extname(path)) ?? "application/octet-stream",
    "Content-Length": body.length,
    // The build names assets by their content.
    "Cache-Control": path.startsWith("/assets/")
      ? "public, max-age=31536000, immutable"
      : "no-cache",
  };
  return (response, status = 200) => {
    response.writeHead(status, headers);
    response.end(body);
  };
}
