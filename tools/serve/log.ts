/**
 * What the server tells about itself: a JSON document a line for machines, words for a terminal. What people say is no part of
 * it. Three fields and no levels to choose from: a library for logs would bring more than is used here.
 */

import type { Output } from "../context.ts";
import { printable } from "../output.ts";

export type Log = (
  level: "info" | "warning" | "error",
  event: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

export function createLog(stream: Output, now: () => Date = () => new Date()): Log {
  return (level, event, fields = {}) => {
    if (!stream.isTTY) {
      stream.write(`${JSON.stringify({ time: now().toISOString(), level, event, ...fields })}\n`);
      return;
    }
    const more = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`);
    const start = level === "info" ? "" : `${level}: `;
    stream.write(`${printable([start + event, ...more].join("  "))}\n`);
  };
}
