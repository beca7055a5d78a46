/** How an engine that works takes messages: between passes, and only where there are any, if it can know. */

import type { Signals } from "../compute/team.ts";

/** A message that was announced may come a moment later than the one that this thread sends itself. */
const TRIES = 2;

export class Mail {
  private received = 0;

  /** `signals`: where the sender counts its messages; without, it cannot be known whether some wait. */
  constructor(private readonly signals: Pick<Signals, "announced"> | undefined) {}

  /** A message has come. */
  note(): void {
    this.received = (this.received + 1) | 0; // as the counter in shared memory does
  }

  /** Lets messages in that wait. */
  async letIn(): Promise<void> {
    if (!this.signals) return letMessagesIn();
    for (let tries = 0; tries < TRIES && this.signals.announced !== this.received; tries++) await letMessagesIn();
  }
}

/** Resolves in a task of its own, after those that wait. Browsers hold back a chain of timeouts by 4 ms each. */
function letMessagesIn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
