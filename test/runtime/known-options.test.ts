import { expect, it } from "vitest";
import { refuseUnknownOptions } from "../../runtime/known-options.ts";

it.each([
  ["load", { context: 5 }, 'no option "context" of load. The options are contextLength'],
  ["load", { RAM: "1G" }, 'Did you mean "ram"?'],
  ["generate", { max_tokens: 5 }, 'no option "max_tokens" of generate. Did you mean "maxTokens"?'],
  ["generate", { temp: 1 }, "The options are temperature"],
] as const)("%s refuses %j", (call, options, message) => {
  const error = expect.objectContaining({ code: "E_USAGE", message: expect.stringContaining(message) });
  expect(() => refuseUnknownOptions(call, options)).toThrow(error);
});

it("takes those that there are", () => {
  refuseUnknownOptions("load", { template: "chatml", kv: undefined });
  refuseUnknownOptions("generate", { formatStops: false, special: true });
});
