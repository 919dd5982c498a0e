/** The oldest Node.js that runs Roomcast; package.json's `engines` says the same. */
export const MINIMUM_NODE = [20, 19];

/**
 * @param {string} version such as `process.versions.node`
 * @returns {string | undefined} what to tell the user when this Node.js is too old
 */
export function unsupportedNode(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [minimumMajor = 0, minimumMinor = 0] = MINIMUM_NODE;
  if (major > minimumMajor || (major === minimumMajor && minor >= minimumMinor)) return undefined;
  return `Roomcast needs Node.js ${MINIMUM_NODE.join(".")} or newer; this is ${version}.`;
}
