/** Structured logs: JSON lines on stderr. What people said is in them only where `--log-text` asks for it. */

import { pino } from "pino";
import type { Output } from "../context.ts";
import type { Settings } from "./settings.ts";

export interface Log {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  /** Fields of what was said or answered: none, unless that is to be logged. */
  said(fields: Readonly<Record<string, string>>): Record<string, string>;
}

export function openLog(settings: Pick<Settings, "log-level" | "log-text">, stderr: Output): Log {
  const options = { level: settings["log-level"], base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const formatters = { level: (label: string) => ({ level: label }) };
  const log = pino({ ...options, formatters }, { write: (line) => void stderr.write(line) });
  return {
    error: (fields, message) => log.error(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    info: (fields, message) => log.info(fields, message),
    debug: (fields, message) => log.debug(fields, message),
    said: (fields) => (settings["log-text"] ? fields : {}),
  };
}
