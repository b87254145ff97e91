#!/usr/bin/env bash
# Installs the Debian packages of missing programs. Arguments: PROGRAM or
# PROGRAM:PACKAGE. Without root or apt-get it says what is missing and goes on:
# what needs a missing program is skipped with its reason.
set -euo pipefail

PATH=$PATH:/usr/sbin # where servers are, and not everybody looks
packages=()
for arg in "$@"; do
	command -v "${arg%%:*}" >/dev/null || packages+=("${arg##*:}")
done
if [ ${#packages[@]} -eq 0 ]; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing: ${packages[*]}; not root on Debian, so nothing is installed and what needs them is skipped"
	exit 0
fi

# A package's service must not start by being installed: nginx would take port 80.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
echo "installing Debian packages: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null; }; then
	echo "could not install ${packages[*]}; what needs them is skipped" >&2
fi
