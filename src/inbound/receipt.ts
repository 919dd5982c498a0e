/** What a client's message with an id is owed: an answer, once, however often it is sent. */
export interface Receipt {
  /** The client's name for the message. */
  readonly id: string;
  /** It was handled. `answer` goes with the acknowledgement unless it is undefined. */
  done(answer: unknown): void;
  /** It was not, and may be sent again. The client is told why. */
  failed(code: string, message: string): void;
}
