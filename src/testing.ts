export { backplaneContract } from "./testing/backplane-contract.ts";
export type { ContractCase } from "./testing/contract.ts";
