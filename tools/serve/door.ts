/** What the server listens with: Wyoming, HTTP. */
export interface Door {
  readonly name: string;
  /**
   * Listens, and answers from then on; returns where. Models may still be loading.
   * @throws PiPhiError E_USAGE where it cannot listen there
   */
  listen(): Promise<string>;
  /** Resolves when nobody is left to serve; never, for a door that takes new clients. */
  readonly ended: Promise<void>;
  /** Takes no new clients, answers those that asked, and lets go of all after so many milliseconds. */
  close(grace: number): Promise<void>;
}
