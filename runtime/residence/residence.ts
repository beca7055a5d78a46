/** How a model's weights come to be where the layout says, and what keeps them there. */

import type { MemoryUse, Progress } from "../api.ts";
import type { Device, MappedFile, Thread } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import type { Layout } from "../plan/layout.ts";
import { refuseChanged } from "../weights/faults.ts";
import { type LoadPlan, loadVectors, planCopy, planLoad } from "../weights/load.ts";
import type { Model } from "../weights/model.ts";
import type { WeightFile } from "./on-demand.ts";
import { type FromReader, type ReaderTask, readStaying } from "./reader.ts";
import type { ReadPattern } from "./stream.ts";

/**
 * Times the weights' size that must be free for them to move into huge pages, and bytes beside everything laid out. The
 * file's own pages need no room of their own: the system gives them back as soon as they are copied and memory is short.
 */
const PLENTY = 1.2;
const SPARE_BYTES = 64 << 20;
const NOTHING: LoadPlan = { sources: [], pieces: [], totalBytes: 0 };

export class Residence {
  /** What the team has to load, once it is together. */
  readonly loadPlan: LoadPlan = NOTHING;
  readonly mode: MemoryUse["mode"];
  /** Why weights of a pack that fit are not mapped. */
  readonly notMapped: string | undefined;
  /** Where streamed weights and their embedding come from. */
  file: WeightFile | undefined;
  /** How streamed weights are read. */
  pattern: ReadPattern | undefined;
  private readonly mapped: MappedFile | undefined;
  private reader: Thread | undefined;
  private onReady: ((error?: PiPhiError) => void) | undefined;
  private faults: PiPhiError[] = [];
  private onFault: ((error: PiPhiError) => void) | undefined;

  /** Maps what can be mapped; throws what reading and mapping throw. */
  constructor(
    private readonly device: Device,
    private readonly model: Model,
    private readonly layout: Layout,
    private readonly memory: WebAssembly.Memory,
    /** Keep weights that are mapped in the file's own pages, which processes share. */
    shared: boolean,
  ) {
    const { pack, manifest } = model.weights;
    this.mode = layout.mode;
    const weightBytes = layout.totalBytes - layout.vectors;
    if (manifest) {
      device.hugePages?.(memory, layout.vectors, weightBytes);
      this.loadPlan = planLoad(manifest, model.shape, layout.vectors, layout.stagingBytes);
      return;
    }
    const { source, dataOffset } = pack;
    const onFault = (error: unknown) => this.meet(PiPhiError.from(error));
    this.file = { source: device.open(source.name), dataOffset, onFault };
    const { bytes } = model.shape;
    const enough = Math.max(PLENTY * bytes, layout.totalBytes + SPARE_BYTES);
    const plenty = !shared && (device.availableBytes() ?? 0) > enough;
    const mapped =
      layout.mode === "streamed"
        ? undefined
        : device.map?.(memory, layout.vectors, source.name, dataOffset, bytes, plenty);
    if (typeof mapped !== "object") device.hugePages?.(memory, layout.vectors, weightBytes);
    if (layout.mode === "streamed") return;
    if (typeof mapped === "object") {
      this.mapped = mapped;
      this.mode = "mapped";
    } else {
      this.notMapped = mapped;
      this.loadPlan = planCopy(source, dataOffset, bytes, layout.vectors);
      this.file.source.close(); // it is not read any more once it is loaded, and others may want to replace it
      this.file = undefined;
    }
  }

  /** Brings the weights that stay into memory; the team has joined, and `load`s what is to be loaded with it. Throws what reading throws, and E_TENSOR_VALUES. */
  async fill(
    load: (onBytes: (bytes: number) => void) => void,
    onProgress: (progress: Progress) => void,
  ): Promise<void> {
    const { model, layout, memory, loadPlan } = this;
    const totalBytes = this.layout.mode === "streamed" ? layout.bytes.weights : loadPlan.totalBytes;
    const report = (loadedBytes: number) => onProgress({ phase: "weights", loadedBytes, totalBytes });
    if (model.weights.manifest) loadVectors(model.weights.manifest, model.shape, memory.buffer, layout.vectors);
    if (layout.mode === "streamed")
      await (this.device.sharedMemory ? this.startReader(report) : this.readAlone(report));
    else if (loadPlan.pieces.length > 0) load(report);
    refuseChanged(model.sources);
    report(totalBytes);
  }

  /** The reason why the reader stopped; it tells after the pass has ended. */
  fault(): Promise<PiPhiError> {
    const known = this.faults.pop();
    this.faults = [];
    if (known) return Promise.resolve(known);
    return new Promise((resolve) => {
      this.onFault = resolve;
    });
  }

  /** Throws E_PACK_CHANGED where the file that weights are taken from is not what it was. */
  check(): void {
    if (this.loadPlan === NOTHING && this.file) refuseChanged([this.file.source]);
  }

  /** Memory is short: see MappedFile. Between passes only. */
  giveBackCopies(): number {
    return this.mapped?.giveBackCopies?.() ?? 0;
  }

  /** After the team has gone and the stream was closed. */
  close(): void {
    this.reader?.terminate();
    this.mapped?.close();
    this.file?.source.close();
  }

  /** Without shared memory, this thread reads what stays, and later what does not. */
  private async readAlone(report: (loadedBytes: number) => void): Promise<void> {
    const { source, dataOffset } = this.file!;
    const read = async (offset: number, address: number, bytes: number) => {
      source.read(dataOffset + offset, new Uint8Array(this.memory.buffer, address, bytes));
    };
    await readStaying(this.layout, read, report);
  }

  private startReader(report: (loadedBytes: number) => void): Promise<void> {
    const reader = this.device.startWorker("reader");
    this.reader = reader;
    const { source, dataOffset } = this.file!;
    const task: ReaderTask = { memory: this.memory, layout: this.layout, file: source.name, dataOffset };
    return new Promise((resolve, reject) => {
      this.onReady = (error) => (error ? reject(error) : resolve());
      reader.onMessage((message) => this.hear(message as FromReader, report));
      reader.onFailure(({ message }) => {
        const text = `The thread that reads the model's weights ended (${message}). Load the model again.`;
        this.meet(new PiPhiError("E_ENGINE", text));
      });
      reader.post(task);
    });
  }

  private hear(message: FromReader, report: (loadedBytes: number) => void): void {
    if (message.type === "progress") report(message.loadedBytes);
    else if (message.type === "fault") this.meet(PiPhiError.fromJSON(message.error));
    else {
      this.pattern = message.pattern;
      this.onReady?.();
      this.onReady = undefined;
    }
  }

  /** Why the last read failed; it is told here, and not to `fault` as well. */
  lastFault(): PiPhiError {
    return this.faults.at(-1) ?? new PiPhiError("E_FILE_READ", "The model's weights could not be read. Load it again.");
  }

  /** A read has failed, here or in a shard. */
  meet(error: PiPhiError): void {
    if (this.onReady) {
      this.onReady(error);
      this.onReady = undefined;
    } else if (this.onFault) {
      this.onFault(error);
      this.onFault = undefined;
    } else this.faults.push(error);
  }
}
