/** The processor: which device this is, cores and the limits around them, heat and clocks. */

import os from "node:os";
import type { Machine } from "../machine.ts";
import {
  type ClockPolicy,
  clockPolicies,
  type Run,
  readThrottling,
  type ThermalZone,
  thermalZones,
} from "../thermal.ts";
import type { Tree } from "../tree.ts";
import { bad, type Check, gibibytes, good } from "./check.ts";

export function processorChecks(tree: Tree, machine: Machine, run: Run): Check[] {
  return [
    device(machine),
    cpu(machine),
    threads(machine),
    temperature(thermalZones(tree)),
    clock(clockPolicies(tree)),
    throttling(tree, run),
  ];
}

function device({ model, target }: Machine): Check {
  const profile = `${target.name} (${target.id}, ${gibibytes(target.totalBytes)})`;
  if (target.profile.kind === "board") return good("device", `${model}: predictions for ${target.id}`);
  return good("device", `${model ?? "no board's name"}: predictions for ${profile}`);
}

function cpu({ features, target }: Machine): Check {
  const model = os.cpus()[0]?.model.trim() || "unknown";
  const value = [model, ...features].join(" ");
  if (features.includes("asimd") && !features.includes("asimddp") && target.profile.kind !== "webview") {
    return good("cpu", value, "No dot product instructions: prompts take about half again as long as on newer cores.");
  }
  return good("cpu", value);
}

function threads({ cores, quota, threads: count }: Machine): Check {
  const alike = cores.fast === 1 ? "1 core" : `${cores.fast} cores`;
  const kinds = cores.slow > 0 ? `${cores.fast} fast and ${cores.slow} slow cores` : alike;
  const value = `${count} by default, of ${kinds}${quota === undefined ? "" : `, quota ${quota.toFixed(1)}`}`;
  if (quota !== undefined && quota < cores.fast) {
    return good(
      "threads",
      value,
      "A CPU quota (cpu.max) stops the threads before all cores are used; raise it if you can.",
    );
  }
  if (cores.fast + cores.slow > 1) return good("threads", value);
  return good("threads", value, "With one core only, expect half the speed of two or less.");
}

/** Degrees below the point where the system slows down at which it is time to cool. */
const MARGIN_CELSIUS = 5;
const USUAL_PASSIVE_CELSIUS = 80;

function temperature(zones: readonly ThermalZone[]): Check {
  if (zones.length === 0) return good("temperature", "no sensor");
  const roomOf = ({ celsius, passiveCelsius = USUAL_PASSIVE_CELSIUS }: ThermalZone) => passiveCelsius - celsius;
  const hottest = zones.reduce((a, b) => (roomOf(b) < roomOf(a) ? b : a));
  const value = `${hottest.celsius.toFixed(1)} °C (${hottest.name})`;
  if (roomOf(hottest) > MARGIN_CELSIUS) return good("temperature", value);
  return bad("temperature", value, "It is almost hot enough to be slowed down. Add a heat sink or a fan.");
}

function clock(policies: readonly ClockPolicy[]): Check {
  if (policies.length === 0) return good("clock", "not told");
  const value = policies
    .map(({ cores, currentMhz, mostMhz, governor }) => {
      return `cores ${cores}: ${Math.round(currentMhz)} of ${Math.round(mostMhz)} MHz (${governor})`;
    })
    .join(", ");
  if (policies.some(({ allowedMhz, mostMhz }) => allowedMhz < 0.99 * mostMhz)) {
    return bad("clock", value, "The clock is held below what the cores can do (scaling_max_freq): raise it, or cool.");
  }
  // The drivers of PCs call what adapts to the load "powersave" too.
  const lazy = policies.some(({ governor, driver }) => {
    return governor === "conservative" || (governor === "powersave" && !driver.includes("pstate"));
  });
  return lazy ? good("clock", value, "Another governor (ondemand, performance) answers sooner.") : good("clock", value);
}

function throttling(tree: Tree, run: Run): Check {
  const state = readThrottling(tree, run);
  if (!state) return good("throttling", "not told");
  const { now, sinceStart } = state;
  const power = "Use the power supply that was made for the board, and a short cable.";
  const heat = "Add a heat sink or a fan.";
  const adviceFor = (reasons: readonly string[]) => (reasons.includes("under-voltage") ? power : heat);
  if (now.length > 0) return bad("throttling", `now: ${now.join(", ")}`, adviceFor(now));
  if (sinceStart.length > 0) {
    return bad("throttling", `since the start: ${sinceStart.join(", ")}`, adviceFor(sinceStart));
  }
  return good("throttling", "none");
}
