/** What was said in conversations: Home Assistant sends no history, only the conversation's id. */

export interface Message {
  readonly role: "user" | "assistant";
  readonly content: string;
}

interface Conversation {
  messages: Message[];
  /** ms */
  used: number;
}

export interface HistoryLimits {
  conversations: number;
  /** Messages of one. */
  messages: number;
  /** Milliseconds after which nobody goes on with it: Home Assistant forgets after 5 minutes. */
  forget: number;
}

const LIMITS: HistoryLimits = { conversations: 256, messages: 24, forget: 30 * 60_000 };
/** More than a sentence that is spoken. */
const MOST_CHARACTERS = 4000;

export class History {
  /** Used last comes last. */
  readonly #conversations = new Map<string, Conversation>();

  constructor(
    readonly limits: HistoryLimits = LIMITS,
    readonly now: () => number = () => performance.now(),
  ) {}

  /** What was said before, oldest first. */
  of(id: string): readonly Message[] {
    return this.#current(id)?.messages ?? [];
  }

  /** Adds a turn: what was said, and what was answered as far as it reached the listener. */
  add(id: string, said: string, answered: string): void {
    const before = this.#current(id)?.messages ?? [];
    const turn: Message[] = [
      { role: "user", content: said.slice(0, MOST_CHARACTERS) },
      { role: "assistant", content: answered.slice(0, MOST_CHARACTERS) },
    ];
    this.#conversations.delete(id);
    this.#conversations.set(id, { messages: [...before, ...turn].slice(-this.limits.messages), used: this.now() });
    for (const [oldest, { used }] of this.#conversations) {
      if (this.#conversations.size <= this.limits.conversations && this.now() - used < this.limits.forget) break;
      this.#conversations.delete(oldest);
    }
  }

  #current(id: string): Conversation | undefined {
    const conversation = this.#conversations.get(id);
    if (conversation && this.now() - conversation.used >= this.limits.forget) this.#conversations.delete(id);
    return this.#conversations.get(id);
  }
}
