/**
 * Boards whose speed is predicted: what a core can do in a cycle, and what memory gives. Every figure names its source.
 *
 * dispatch   instructions a cycle that the front end hands on
 * vector     Advanced SIMD instructions a cycle: pipelines
 * multiply   of them, integer multiplications (smull, smull2, mul, smlal); dot products go to `dot`
 * loads      loads a cycle
 */

const A72 = "Arm, Cortex-A72 Software Optimization Guide, ARM UAN 0016A, sections 2.1 and 3";
const A76 = "Arm, Cortex-A76 Software Optimization Guide, PJDOC-466751330-7215, sections 2.1 and 3";

export const BOARDS = {
  "Pi 4": {
    cores: 4,
    hertz: 1.8e9,
    dispatch: 3,
    vector: 2,
    multiply: 1,
    dot: 0,
    loads: 1,
    bytesPerSecond: 5.56e9,
    kernels: ["int4 pairs", "int8"],
    sources: {
      hertz: "raspberrypi.com, Raspberry Pi 4 Model B specifications: 4 x Cortex-A72 at 1.8 GHz",
      core: A72,
      bytesPerSecond:
        "sci-pi.org.uk/bench/stream.html: STREAM on a Pi 4, best of four, 5.56 GB/s (LPDDR4-3200: 12.8 at most)",
    },
  },
  "Pi 5": {
    cores: 4,
    hertz: 2.4e9,
    dispatch: 4,
    vector: 2,
    multiply: 1,
    dot: 2,
    loads: 2,
    bytesPerSecond: 9.12e9,
    kernels: ["int4 sdot", "int4 pairs", "int8"],
    sources: {
      hertz: "raspberrypi.com, Raspberry Pi 5 specifications: 4 x Cortex-A76 at 2.4 GHz",
      core: A76,
      bytesPerSecond:
        "github.com/raspberrypi/firmware/issues/1876: tinymembench reads 9.1 GB/s on an 8 GB board (LPDDR4X-4267: 17.1 at most)",
    },
  },
};
