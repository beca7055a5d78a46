#!/usr/bin/env bash
# Installs Home Assistant into a folder of its own: a small Debian that has the Python it needs, in .home-assistant/.
# Needs root on Debian, 2 GB of disk, and about two minutes. Nothing outside the folder changes, but for debootstrap, if it lacks.
set -euo pipefail
version=2026.11.0
release=forky # has Python 3.14
base=${1:?usage: install.sh FOLDER}
system=$base/system
done=$base/installed-$version
[ ! -e "$done" ] || exit 0
[ "$(id -u)" -eq 0 ] || { echo "Installing Home Assistant needs root, for a Debian in a folder. Run it with sudo." >&2; exit 1; }

# In the system, with what the host's environment says of package indexes and certificates.
inside() { env -u PYTHONPATH -u PYENV_VERSION PATH=/opt/hass/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
  UV_HTTP_TIMEOUT=180 chroot "$system" "$@"; }
install_packages() { inside uv pip install --no-cache --quiet --python /opt/hass/bin/python "$@"; }
unmount() { for what in dev proc; do ! mountpoint -q "$system/$what" || umount "$system/$what"; done; }

if ! command -v debootstrap >/dev/null; then
  apt-get update -q && apt-get install -y -q --no-install-recommends debootstrap
fi
scripts=/usr/share/debootstrap/scripts
[ -e $scripts/$release ] || ln -s sid $scripts/$release # older ones do not know the newest release
mirror=${DEBIAN_MIRROR:-$(. /etc/os-release && [ "$ID" = debian ] &&
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1 || echo http://deb.debian.org/debian)}
mkdir -p "$system"
if [ ! -x "$system/usr/bin/python3" ]; then
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-dev,g++ \
    $release "$system" "$mirror"
fi
trap unmount EXIT
for what in proc dev; do mountpoint -q "$system/$what" || mount --bind "/$what" "$system/$what"; done
cp -L /etc/resolv.conf "$system/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$system/etc/ssl/certs/"
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$system/etc/"

# pip gives up on resolving this many packages; uv does it, with the versions that Home Assistant was tested with.
inside python3 -m venv /opt/hass
inside pip install --no-cache-dir --quiet uv
install_packages --no-deps "homeassistant==$version"
packages=$(echo "$system"/opt/hass/lib/python3.*/site-packages)
cp "$packages/homeassistant/package_constraints.txt" "$system/tmp/constraints.txt"
# What integrations need is written in their manifests; Home Assistant would install it at its first start.
python3 - "$packages/homeassistant" \
  api assist_pipeline auth config conversation homeassistant http intent onboarding websocket_api \
  input_boolean input_number light cover lock sensor shopping_list template todo wyoming ollama >"$system/tmp/needed.txt" <<'PY'
import json, pathlib, re, sys
home = pathlib.Path(sys.argv[1])
always = re.search(r"^DEFAULT_INTEGRATIONS = \{(.*?)^\}", (home / "bootstrap.py").read_text(), re.M | re.S)
todo, seen, needed = sys.argv[2:] + re.findall(r'"([a-z_]+)"', always[1]), set(), set()
while todo:
    name = todo.pop()
    manifest = home / "components" / name / "manifest.json"
    if name in seen or not manifest.exists():
        continue
    seen.add(name)
    facts = json.loads(manifest.read_text())
    needed.update(facts.get("requirements", []))
    todo += facts.get("dependencies", [])
print("\n".join(sorted(needed)))
PY
install_packages -c /tmp/constraints.txt -r /tmp/needed.txt "homeassistant==$version"
touch "$done"
