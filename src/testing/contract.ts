import type { Attachment, Backplane } from "../backplane/contract/backplane.ts";
import type { TaskObserver, TaskStore, TaskTerms } from "../backplane/contract/task-store.ts";
import { Recorder } from "./recorder.ts";

/** One thing that every backplane must do. */
export interface ContractCase {
  readonly name: string;
  /** Rejects with an `AssertionError` if the backplane does not do it. */
  run(): Promise<void>;
}

/** An instance of the cluster that a case is about. */
export interface Member extends Pick<Attachment, "broker" | "presence" | "history" | "receipts"> {
  /** What the backplane told the instance. */
  readonly recorder: Recorder;
  stop(): Promise<void>;
}

/** Adds an instance of that id to the cluster; it is connected when this resolves. */
export type Join = (id: string) => Promise<Member>;

/** Opens the same task queue again and again, as several processes would. */
export type OpenQueue = (terms?: Partial<TaskTerms>, observer?: TaskObserver) => TaskStore;

/** What a queue is opened with where a case says nothing else: terms short enough to wait for. */
export const TERMS: TaskTerms = {
  queue: "tasks",
  consumer: "a",
  visibilityMs: 300,
  maxDeliveries: 3,
  maxLength: 1000,
  maxDead: 1000,
};

const QUIET: TaskObserver = { buried: () => {}, report: () => {} };

/** Cases by name. */
export type Cases = Readonly<Record<string, (join: Join, open: OpenQueue) => Promise<void>>>;

/** Cases that each get a cluster of their own, which is taken apart afterwards. */
export function toContract(
  subject: string,
  cases: Cases,
  make: () => Backplane | Promise<Backplane>,
): ContractCase[] {
  return Object.entries(cases).map(([name, work]) => ({
    name: `${subject}: ${name}`,
    run: async () => {
      const backplane = await make();
      const ends: (() => Promise<void>)[] = [];
      const joinIt: Join = async (id) => {
        const member = await join(backplane, id);
        ends.push(() => member.stop());
        return member;
      };
      const open: OpenQueue = (terms, observer = QUIET) => {
        const store = backplane.tasks({ ...TERMS, ...terms }, observer);
        ends.push(() => store.close());
        return store;
      };
      try {
        await work(joinIt, open);
      } finally {
        for (const end of ends.reverse()) await end();
      }
    },
  }));
}

/** Adds an instance to the cluster; it is connected when this resolves. */
export async function join(backplane: Backplane, id: string): Promise<Member> {
  const recorder = new Recorder(id);
  const attachment = backplane.attach(recorder);
  const { broker, presence, history, receipts } = attachment;
  await attachment.start();
  await recorder.until(() => broker.status === "connected");
  return { recorder, broker, presence, history, receipts, stop: () => attachment.stop() };
}
