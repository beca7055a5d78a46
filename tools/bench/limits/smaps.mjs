/** What the kernel says of a process's memory, in /proc/PID/smaps_rollup. */

/**
 * Bytes: all resident; the same with shared pages divided by those who share them; what only this process has; and
 * what is no file's. @param {string} text
 */
export function parseSmaps(text) {
  const bytesOf = (name) => 1024 * Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);
  return {
    rss: bytesOf("Rss"),
    pss: bytesOf("Pss"),
    private: bytesOf("Private_Clean") + bytesOf("Private_Dirty"),
    anonymous: bytesOf("Anonymous"),
  };
}
