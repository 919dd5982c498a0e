export { backplaneContract } from "./testing/backplane-contract.ts";
export type { ContractCase } from "./testing/contract.ts";
export type { FaultyBackplane } from "./testing/fault-contract.ts";
export {
  type PresenceSimulationOptions,
  type SimulatedService,
  SimulationError,
  simulatePresence,
} from "./testing/simulation/presence-simulation.ts";
export { Seeded } from "./testing/simulation/seeded.ts";
export { VirtualClock } from "./testing/simulation/virtual-clock.ts";
