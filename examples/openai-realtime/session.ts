import { WebSocketClient } from "roomcast/client";
import { type ClientEvent, type ServerEvent, serverEvent } from "./events.ts";

/** What was spoken: 16-bit PCM at 24,000 samples a second, and the words. */
export interface Spoken {
  readonly audio: Buffer;
  readonly transcript: string;
}

/** A conversation with the OpenAI Realtime API, or with whatever speaks like it. */
export class RealtimeSession {
  readonly #client: WebSocketClient;
  readonly #events: AsyncGenerator<ServerEvent | null, undefined>;

  constructor(url: string, apiKey: string) {
    this.#client = new WebSocketClient(url, {
      // Audio comes in large messages; and a session cannot be taken up again on another connection.
      config: { maxMessageSize: 16 * 1024 * 1024, openTimeoutMs: 30_000, reconnectEnabled: false },
      headers: { Authorization: `Bearer ${apiKey}` },
      subprotocols: ["realtime"],
    });
    this.#events = this.#client.json(serverEvent);
  }

  /** Connects, and tells how to speak. */
  async open(instructions: string, voice = "marin"): Promise<void> {
    await this.#client.connect();
    await this.#until("session.created");
    await this.#send({
      type: "session.update",
      session: {
        type: "realtime",
        instructions,
        output_modalities: ["audio"],
        audio: { output: { voice } },
      },
    });
    await this.#until("session.updated");
  }

  /** Says something, and collects the answer. */
  async ask(text: string): Promise<Spoken> {
    const content = [{ type: "input_text", text }] as const;
    await this.#send({
      type: "conversation.item.create",
      item: { type: "message", role: "user", content },
    });
    await this.#send({ type: "response.create" });
    const audio: Buffer[] = [];
    let transcript = "";
    await this.#until("response.done", (event) => {
      if (event.type === "response.output_audio.delta") {
        audio.push(Buffer.from(event.delta, "base64"));
      } else if (event.type === "response.output_audio_transcript.delta") transcript += event.delta;
    });
    return { audio: Buffer.concat(audio), transcript };
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #send(event: ClientEvent): Promise<void> {
    await this.#client.sendJson(event);
  }

  /** Reads events up to the first of this type. @throws Error if the service reports one, or hangs up. */
  async #until(
    type: ServerEvent["type"],
    each: (event: ServerEvent) => void = () => {},
  ): Promise<void> {
    for (;;) {
      const { value: event, done } = await this.#events.next();
      if (done) throw new Error(`The service hung up before ${type}.`);
      if (event === null) continue;
      if (event.type === "error") throw new Error(event.error.message);
      each(event);
      if (event.type === type) return;
    }
  }
}
