/** What the plots share: shapes, text, and colours that follow the reader's light or dark mode. */

const STYLE = `
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.quiet { fill: #59636e; font-size: 12px; }
.ours { fill: #0f766e; }
.peer { fill: #afb8c1; }
.ours-line { stroke: #0f766e; stroke-width: 2.2; }
.peer-line { stroke: #8c959f; stroke-width: 2.2; }
.whisker { stroke: #1f2328; stroke-width: 1.2; opacity: .65; }
.axis { stroke: #d1d9e0; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .quiet { fill: #9198a1; }
  .ours { fill: #2dd4bf; }
  .peer { fill: #59636e; }
  .ours-line { stroke: #2dd4bf; }
  .peer-line { stroke: #7d8590; }
  .whisker { stroke: #f0f6fc; }
  .axis { stroke: #3d444d; }
}`;

const escapeXml = (text) =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");

export const text = (x, y, content, name = "") =>
  `<text x="${x}" y="${y}"${name && ` class="${name}"`}>${escapeXml(content)}</text>`;

export const round = (value) => Math.round(value * 10) / 10;

/** On which model, machine and day something was measured, as a line of text. */
export function factsOf({ machine, model }) {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  return [model.name, machine.cpu, `${machine.cores} cores`, memory, machine.date.slice(0, 10)].join(" · ");
}

/** The whole file; `label` says to those who cannot see it what it shows. */
export function document(width, height, label, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(label)}">
<style>${STYLE}
</style>
${parts.join("\n")}
</svg>
`;
}
