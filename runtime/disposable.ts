/** `await using` in the types of programs whose TypeScript library does not know it. */

declare global {
  // As in TypeScript's library "ESNext.Disposable", for programs that are checked without it.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
  interface AsyncDisposable {
    [Symbol.asyncDispose](): PromiseLike<void>;
  }
}

/** What `await using` closes. */
export type Disposable = AsyncDisposable;
