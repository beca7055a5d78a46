/** What runs this program, Node, Bun or Deno, and what it may see. */

/** "node v24.21.0 (V8 13.6.233)", for people. Bun and Deno claim to be a Node as well. */
export function hostName(versions: NodeJS.ProcessVersions = process.versions): string {
  const { bun, deno, webkit = "unknown", v8, node } = versions as Record<string, string | undefined>;
  if (bun !== undefined) return `bun ${bun} (JavaScriptCore ${webkit.slice(0, 12)})`;
  return deno === undefined ? `node v${node} (V8 ${v8})` : `deno ${deno} (V8 ${v8})`;
}

export function isNode(versions: NodeJS.ProcessVersions = process.versions): boolean {
  return !("bun" in versions) && !("deno" in versions);
}

/** An environment variable; undefined also where Deno does not let the program read it. */
export function environment(name: string): string | undefined {
  try {
    return process.env[name];
  } catch {
    return undefined;
  }
}
