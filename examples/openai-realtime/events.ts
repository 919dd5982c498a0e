import { z } from "zod";

/** The events of the service that this example reads; each has many more fields. */
const events = z.discriminatedUnion("type", [
  z.object({ type: z.literal("session.created"), session: z.looseObject({}) }),
  z.object({ type: z.literal("session.updated"), session: z.looseObject({}) }),
  z.object({ type: z.literal("response.created"), response: z.object({ id: z.string() }) }),
  // Audio as base64 of 16-bit PCM, 24,000 samples a second.
  z.object({
    type: z.literal("response.output_audio.delta"),
    response_id: z.string(),
    delta: z.base64(),
  }),
  z.object({
    type: z.literal("response.output_audio_transcript.delta"),
    response_id: z.string(),
    delta: z.string(),
  }),
  z.object({
    type: z.literal("response.done"),
    response: z.object({ id: z.string(), status: z.string() }),
  }),
  z.object({ type: z.literal("error"), error: z.looseObject({ message: z.string() }) }),
]);

const KNOWN: ReadonlySet<string> = new Set(events.options.map((each) => each.shape.type.value));

/** What the service may send: an event known here, or null for one that is not. */
export const serverEvent = z.preprocess(
  (value) => (KNOWN.has((value as { type?: string } | null)?.type ?? "") ? value : null),
  events.nullable(),
);

export type ServerEvent = z.infer<typeof events>;

/** What this example sends. */
export type ClientEvent =
  | {
      readonly type: "session.update";
      readonly session: {
        readonly type: "realtime";
        readonly instructions: string;
        readonly output_modalities: readonly ["audio"];
        readonly audio: { readonly output: { readonly voice: string } };
      };
    }
  | {
      readonly type: "conversation.item.create";
      readonly item: {
        readonly type: "message";
        readonly role: "user";
        readonly content: readonly [{ readonly type: "input_text"; readonly text: string }];
      };
    }
  | { readonly type: "response.create" };
