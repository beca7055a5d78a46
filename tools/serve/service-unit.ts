/** A systemd unit for `piphi serve`: a user of its own, nothing to write but its store, restarted when it hangs. */

import path from "node:path";
import type { Values } from "../options.ts";
import type { SETTINGS } from "./settings.ts";

export interface UnitParts {
  model?: string;
  config?: string;
  /** The flags that the service is to run with. */
  flags: Values<typeof SETTINGS>;
}

/** Flags whose values are files: the service runs in another folder. */
const FILES = new Set(["house", "token-file", "warm", "api-key-file"]);

/** systemd splits at blanks, and reads % and $ in its own ways. */
const quoted = (word: string) => {
  const plain = word.replaceAll("%", "%%").replaceAll("$", "$$");
  return /^[\w%+,./:=@$-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, "\\$&")}"`;
};

function commandLine({ model, config, flags }: UnitParts): string {
  const words = [process.execPath, path.resolve(process.argv[1]), "serve"];
  if (model !== undefined) words.push(path.resolve(model));
  for (const [name, value] of Object.entries({ ...flags, ...(config === undefined ? {} : { config }) })) {
    const isFile = FILES.has(name) || name === "config";
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === undefined || one === false) continue;
      words.push(`--${name}`);
      if (one !== true) words.push(isFile ? path.resolve(String(one)) : String(one));
    }
  }
  return words.map(quoted).join(" ");
}

export function serviceUnit(parts: UnitParts): string {
  return `# Install it:
#   piphi serve … --install-service | sudo tee /etc/systemd/system/piphi.service
#   sudo systemctl daemon-reload && sudo systemctl enable --now piphi
# Its files must be readable by everybody, or by the group that SupplementaryGroups= names.
[Unit]
Description=PiPhi, language backend of an offline voice assistant
Documentation=https://www.npmjs.com/package/piphi
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=all
ExecStart=${commandLine(parts)}
Restart=on-failure
RestartSec=2
# A model of gigabytes is packed once, at the first start.
TimeoutStartSec=30min
TimeoutStopSec=60
WatchdogSec=60

DynamicUser=yes
CacheDirectory=piphi
Environment=PIPHI_HOME=/var/cache/piphi
Nice=5

CapabilityBoundingSet=
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=multi-user.target
`;
}
