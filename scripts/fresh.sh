#!/bin/bash
# fresh.sh SUITE COMMAND [OPTION…]: runs a shell command at a clone of this
# repository in a bare Debian tree, which has what README.md asks for and nothing
# else: gcc, git, make, and Go laid in. Options go to test/tree/run.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$1 command=$2
shift 2
cache=${BERTH_CACHE:-/var/cache/berth}
mkdir -p "$cache/kernels" "$cache/staticcheck/$suite"
exec go run ./test/tree/run -suite "$suite" -packages ca-certificates,gcc,git,libc6-dev,make -go -source \
	-bind "$cache/kernels:/var/cache/berth/kernels" \
	-bind "$cache/staticcheck/$suite:/root/.cache/staticcheck" "$@" -- bash -euc "$command"
