import type { Backplane } from "../backplane/contract/backplane.ts";
import { BROKER } from "./broker-contract.ts";
import { type ContractCase, toContract } from "./contract.ts";
import { DEAD_LETTERS } from "./dead-letter-contract.ts";
import { type FaultyBackplane, faultContract } from "./fault-contract.ts";
import { HISTORY } from "./history-contract.ts";
import { PRESENCE } from "./presence-contract.ts";
import { RECEIPTS } from "./receipt-contract.ts";
import { TASKS } from "./task-contract.ts";

/**
 * Everything a backplane must do, as a list of cases for any test framework:
 *
 *     for (const { name, run } of backplaneContract(() => myBackplane())) test(name, run);
 *
 * `make` gives a backplane whose instances know nothing of those of any other case. What should come and
 * does not is waited for without an end: that is for the time limit of the framework.
 *
 * `faults` gives one whose service can be made to fail, likewise for each case; without it, what a backplane does then is
 * not looked at.
 */
export function backplaneContract(
  make: () => Backplane | Promise<Backplane>,
  faults?: () => FaultyBackplane | Promise<FaultyBackplane>,
): readonly ContractCase[] {
  return [
    ...toContract("broker", BROKER, make),
    ...toContract("presence", PRESENCE, make),
    ...toContract("history", HISTORY, make),
    ...toContract("receipts", RECEIPTS, make),
    ...toContract("tasks", TASKS, make),
    ...toContract("dead letters", DEAD_LETTERS, make),
    ...(faults === undefined ? [] : faultContract(faults)),
  ];
}
