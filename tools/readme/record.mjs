/**
 * Runs commands and draws what they printed as a terminal: node tools/readme/record.mjs OUT.svg "COMMAND" ["COMMAND" …]
 * "piphi" in a command is this checkout's build; stdout and stderr appear as a person sees them.
 */

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const [, , out, ...commands] = process.argv;
if (!out || commands.length === 0) {
  console.error('usage: node tools/readme/record.mjs OUT.svg "COMMAND" ["COMMAND" …]');
  process.exit(2);
}

const cli = fileURLToPath(new URL("../../dist/tools/cli.js", import.meta.url));
const run = promisify(execFile);
const FONT = 14;
const LINE = 20;
const WIDTH = 860;

const lines = [];
for (const command of commands) {
  lines.push({ kind: "prompt", text: `$ ${command}` });
  const script = `piphi() { "${process.execPath}" "${cli}" "$@"; }; ${command} 2>&1`;
  const { stdout } = await run("bash", ["-c", script]);
  for (const text of stdout.replace(/\n+$/, "").split("\n")) lines.push({ kind: "output", text });
  lines.push({ kind: "output", text: "" });
}

const escapeXml = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const height = lines.length * LINE + 36;
const rows = lines.map(({ kind, text }, i) => {
  return `<text class="${kind}" x="20" y="${38 + i * LINE}" xml:space="preserve">${escapeXml(text)}</text>`;
});
writeFileSync(
  out,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="piphi in a terminal">
<style>text{font:${FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d8dee9}.prompt{fill:#8fd18f;font-weight:600}</style>
<rect width="${WIDTH}" height="${height}" rx="8" fill="#1e222a"/>
${rows.join("\n")}
</svg>
`,
);
