#!/usr/bin/env bash
# `npm run check:home-assistant`: the real Home Assistant beside `piphi serve`, both offline: they see nothing but each other.
# Root on Debian. Home Assistant lies in .home-assistant/ and stays there for the next time.
set -euo pipefail
cd "$(dirname "$0")/../.."
unshare --mount test/home-assistant/install.sh "$PWD/.home-assistant"
exec unshare --mount --net bash -c 'ip link set lo up && exec npx vitest run --config test/home-assistant/vitest.config.ts'
