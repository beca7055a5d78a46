/** One line of what `piphi doctor` says. */

export interface Check {
  name: string;
  ok: boolean;
  value: string;
  advice?: string;
}

/** All is well, perhaps with something worth knowing. */
export function good(name: string, value: string, advice?: string): Check {
  return advice === undefined ? { name, ok: true, value } : { name, ok: true, value, advice };
}

/** Something stands in the way of speed or of running at all. */
export function bad(name: string, value: string, advice: string): Check {
  return { name, ok: false, value, advice };
}

export function gibibytes(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.round(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
