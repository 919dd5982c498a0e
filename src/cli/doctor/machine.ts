import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { bytes } from "../figures.ts";
import { type Finding, fault, warning, well } from "./finding.ts";

/** A connection takes one; below this a server of any size runs out. */
const FEW_FILES = 10_240;
/** How many handshakes may wait to be accepted, on a busy day. */
const SHORT_BACKLOG = 1024;
const OLDEST_NODE = [20, 19] as const;
/** `net.ipv4.tcp_keepalive_time` and the like are no matter: pings do that. */
const SCARCE_MEMORY = 0.05;

/** Looks at this machine, as far as it tells. */
export function examineMachine(): Finding[] {
  return [examineNode(), ...examineFiles(), ...examineBacklog(), examineMemory()];
}

function examineNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [oldest, itsMinor] = OLDEST_NODE;
  const isOld = major < oldest || (major === oldest && minor < itsMinor);
  return isOld
    ? fault("Node.js", process.version, `Roomcast needs ${OLDEST_NODE.join(".")} or newer.`)
    : well("Node.js", process.version);
}

function examineFiles(): Finding[] {
  const limits = read("/proc/self/limits");
  const most = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (most === undefined) return [];
  if (most !== "unlimited" && Number(most) < FEW_FILES) {
    const advice =
      "A connection takes one. Raise it: LimitNOFILE=1048576 for systemd, ulimit -n 1048576 in a shell, " +
      "--ulimit nofile=1048576 for Docker.";
    return [warning("open files", `at most ${most}`, advice)];
  }
  return [well("open files", `at most ${most}`)];
}

function examineBacklog(): Finding[] {
  const backlog = Number(read("/proc/sys/net/core/somaxconn"));
  if (backlog === 0) return [];
  if (backlog < SHORT_BACKLOG) {
    const advice =
      "Handshakes are lost when many clients come at once: sysctl -w net.core.somaxconn=4096";
    return [warning("somaxconn", String(backlog), advice)];
  }
  return [well("somaxconn", String(backlog))];
}

function examineMemory(): Finding {
  const found = `${bytes(freemem())} of ${bytes(totalmem())} free`;
  return freemem() / totalmem() < SCARCE_MEMORY
    ? warning(
        "memory",
        found,
        "10,000 idle connections take about 100 MB, slow readers up to maxBufferedBytes each.",
      )
    : well("memory", found);
}

/** Empty where there is no such file: not every system has them. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
