import type { Attachment, Backplane } from "../backplane/backplane.ts";
import { Recorder } from "./recorder.ts";

/** One thing that every backplane must do. */
export interface ContractCase {
  readonly name: string;
  /** Rejects with an `AssertionError` if the backplane does not do it. */
  run(): Promise<void>;
}

/** An instance of the cluster that a case is about. */
export interface Member extends Pick<Attachment, "broker" | "presence" | "history"> {
  /** What the backplane told the instance. */
  readonly recorder: Recorder;
  stop(): Promise<void>;
}

/** Adds an instance of that id to the cluster; it is connected when this resolves. */
export type Join = (id: string) => Promise<Member>;

/** Cases by name. */
export type Cases = Readonly<Record<string, (join: Join) => Promise<void>>>;

/** Cases that each get a cluster of their own, whose instances are stopped afterwards. */
export function toContract(
  subject: string,
  cases: Cases,
  make: () => Backplane | Promise<Backplane>,
): ContractCase[] {
  return Object.entries(cases).map(([name, work]) => ({
    name: `${subject}: ${name}`,
    run: async () => {
      const backplane = await make();
      const members: Member[] = [];
      try {
        await work(async (id) => {
          const member = await join(backplane, id);
          members.push(member);
          return member;
        });
      } finally {
        for (const member of members.reverse()) await member.stop();
      }
    },
  }));
}

async function join(backplane: Backplane, id: string): Promise<Member> {
  const recorder = new Recorder(id);
  const attachment = backplane.attach(recorder);
  const { broker, presence, history } = attachment;
  await attachment.start();
  await recorder.until(() => broker.status === "connected");
  return { recorder, broker, presence, history, stop: () => attachment.stop() };
}
