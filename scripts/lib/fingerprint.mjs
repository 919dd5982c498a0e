import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * @param {string} root
 * @param {string} path a file or a folder, relative to root
 * @returns {string[]} every file at or below it, relative to root, in a stable order
 */
function filesOf(root, path) {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const inside = `${path}/${entry.name}`;
      return entry.isDirectory() ? filesOf(root, inside) : [inside];
    });
}

/**
 * A digest of the names and contents of files; missing paths count as empty.
 *
 * @param {string} root
 * @param {readonly string[]} paths files and folders, relative to root
 * @returns {string}
 */
export function fingerprint(root, paths) {
  const hash = createHash("sha256");
  for (const path of paths) {
    if (!existsSync(join(root, path))) continue;
    for (const file of filesOf(root, path)) {
      const content = readFileSync(join(root, file));
      hash.update(`${file}\0${content.length}\0`).update(content);
    }
  }
  return hash.digest("hex");
}
