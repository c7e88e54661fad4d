#!/bin/bash
# fresh.sh SUITE COMMAND [OPTION…]: runs a shell command at a clone of this
# repository in a bare Debian tree, which has only the programs that README.md
# requires: gcc, git, make and this machine's Go. Options go to test/tree/run.
#
# The tree sees the cache, as a second run on a machine does, but not its programs:
# scripts/deps.sh has to install them.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1 command=$2
shift 2
cache=${BERTH_CACHE:-/var/cache/berth}
mkdir -p "$cache/staticcheck"
exec go run ./test/tree/run -suite "$suite" -packages ca-certificates,gcc,git,libc6-dev,make -go -source \
	-bind "$cache:/var/cache/berth" -plain /var/cache/berth/bin \
	-bind "$cache/staticcheck:/root/.cache/staticcheck" "$@" -- bash -euc "$command"
