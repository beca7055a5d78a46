/** Announcements, as another mDNS implementation hears them. */

import multicastDns from "multicast-dns";
import { expect, it } from "vitest";
import { announce, serviceName } from "../../../tools/serve/wyoming/mdns.ts";

const TYPE = "_wyoming._tcp.local";

/** Asks until an answer satisfies, for so many milliseconds. */
async function ask<T>(type: "PTR" | "SRV", name: string, ms: number, choose: (data: unknown) => T | undefined) {
  const dns = multicastDns();
  try {
    return await new Promise<T | undefined>((resolve) => {
      const query = () => dns.query([{ name, type }]);
      const timer = setInterval(query, 200);
      setTimeout(() => {
        clearInterval(timer);
        resolve(undefined);
      }, ms);
      dns.on("response", ({ answers }) => {
        for (const answer of answers) {
          const chosen = answer.type === type && answer.name === name ? choose(answer.data) : undefined;
          if (chosen !== undefined) {
            clearInterval(timer);
            resolve(chosen);
          }
        }
      });
      dns.on("error", () => resolve(undefined));
      query();
    });
  } finally {
    dns.destroy();
  }
}

/** Some machines have no network that takes multicast. */
async function multicastWorks(): Promise<boolean> {
  const dns = multicastDns();
  const answered = new Promise<boolean>((resolve) => {
    dns.on("query", ({ questions }) => resolve(questions.some(({ name }) => name === "probe.piphi.local")));
    dns.on("error", () => resolve(false));
    setTimeout(() => resolve(false), 1000);
  });
  dns.query([{ name: "probe.piphi.local", type: "A" }]);
  const works = await answered;
  dns.destroy();
  return works;
}

it.skipIf(!(await multicastWorks()))("others find the service, its port, and that it ends", async () => {
  const end = await announce("0.0.0.0", 10400, "check");
  const name = await ask("PTR", TYPE, 10_000, (data) =>
    String(data).startsWith("PiPhi on check") ? String(data) : undefined,
  );
  expect(name).toMatch(/^PiPhi on check.*\._wyoming\._tcp\.local$/);
  const port = await ask("SRV", name!, 10_000, (data) => (data as { port: number }).port);
  expect(port).toBe(10400);
  await end!();
  expect(await ask("SRV", name!, 1500, (data) => (data as { port: number }).port)).toBeUndefined();
});

it("what only this machine can reach is not announced", async () => {
  expect(await Promise.all(["127.0.0.1", "::1", "localhost"].map((host) => announce(host, 10400)))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

it("names are labels of the DNS", () => {
  expect(serviceName("raspberry.local")).toBe("PiPhi on raspberry");
  expect(Buffer.byteLength(serviceName("é".repeat(80)))).toBeLessThanOrEqual(63);
});
