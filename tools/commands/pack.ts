import { DENSE_FLAG, JSON_FLAG } from "../flags.ts";
import { refuseWords } from "../input.ts";
import { defineCommand, toggle, usageError } from "../options.ts";
import { formatBytes, writeJson } from "../output.ts";
import { loadingBar, statusLine } from "../progress.ts";

export const pack = defineCommand({
  usage: "IN OUT",
  notes: [
    "A pack holds the weights as the kernels read them, and the tokenizer. OUT is never half a pack: it is renamed into place.",
    "`piphi run MODEL.gguf` packs into the store by itself; make one here to keep it elsewhere, or to copy it to a board.",
  ],
  options: {
    ...DENSE_FLAG,
    check: toggle("compare the pack IN with its checksums instead"),
    ...JSON_FLAG,
  },
  examples: [
    ["piphi pack phi-2.Q4_0.gguf phi-2.pack.gguf", "a pack"],
    ["piphi pack --check phi-2.pack.gguf", "is it still as it was made?"],
  ],

  async run(values, [input, output, ...rest], context) {
    refuseWords(rest);
    if (input === undefined) throw usageError("Name the file to pack: piphi pack IN OUT");
    if (!values.check && output === undefined) throw usageError(`Name the pack to make: piphi pack ${input} OUT`);
    if (values.check && output !== undefined)
      throw usageError(`Unexpected argument "${output}". --check takes one file.`);
    const { packFile, checkPack } = await context.api();
    const line = statusLine(context.stderr, context.env);
    const bar = loadingBar(line);
    const phase = values.check ? "check" : "pack";
    const onProgress = (loadedBytes: number, totalBytes: number) => bar({ phase, loadedBytes, totalBytes });
    const options = { dense: values.dense, onProgress, signal: context.signal };
    let bytes = 0;
    try {
      if (values.check) await checkPack(input, options);
      else bytes = await packFile(input, output, options);
    } finally {
      line.clear();
    }
    if (values.json) writeJson(context.stdout, values.check ? { pack: input, ok: true } : { pack: output, bytes });
    else context.stdout.write(values.check ? `${input} is sound.\n` : `${output}  ${formatBytes(bytes)}\n`);
  },
});
