#!/bin/bash
# Runs the validation suite of opencontainers/runtime-tools, in the version of go.mod,
# on a runtime and on berth-runtime in front of it, and compares the results of its
# programs. It needs root, and some minutes.
# Usage: transparent.sh [RUNTIME], runc by default.
set -euo pipefail
cd "$(dirname "$0")/.."
runtime=${1:-runc}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

CGO_ENABLED=0 go build -trimpath -tags hook -o "$dir/" ./cmd/berth-runtime ./cmd/berth-hook
module=github.com/opencontainers/runtime-tools
go mod download "$module"
cp -r "$(go list -m -f '{{.Dir}}' "$module")" "$dir/suite"
chmod -R u+w "$dir/suite"
# The module's vendor directory has only a list of modules.
rm -rf "$dir/suite/vendor"
mkdir "$dir/bin"
(cd "$dir/suite" && CGO_ENABLED=0 go build -o "$dir/bin/" ./validation/... ./cmd/runtimetest)
cp "$dir"/suite/rootfs-*.tar.gz "$dir/bin/"

printf '#!/bin/sh\nexec %s --berth-runtime %s "$@"\n' "$dir/berth-runtime" "$(command -v "$runtime")" >"$dir/wrapped"
chmod +x "$dir/wrapped"

# suite NAME RUNTIME: stores each program's results. The programs run in mount and PID
# namespaces of their own. Only the numbers of results are kept, because their texts
# contain random names.
suite() {
	mkdir -p "$dir/results/$1"
	unshare --mount --pid --fork --mount-proc bash -c '
		mount -t cgroup2 cgroup2 /sys/fs/cgroup && mount -t tmpfs tmpfs /run && cd "$1/bin"
		for program in *; do
			case $program in runtimetest | *.gz) continue ;; esac
			{ RUNTIME=$3 timeout 120 "./$program" 2>/dev/null; echo "exit $?"; } |
				sed -nE "s/^((not )?ok [0-9]+|exit [0-9]+).*/\1/p" >"$1/results/$2/$program"
		done' suite "$dir" "$1" "$2"
	echo "$1: $(find "$dir/results/$1" -type f | wc -l) programs, $(cat "$dir/results/$1"/* | grep -c '^ok') ok, $(cat "$dir/results/$1"/* | grep -c '^not ok') not ok"
}

suite "$runtime" "$runtime"
suite berth-runtime "$dir/wrapped"
diff -r "$dir/results/$runtime" "$dir/results/berth-runtime" && echo "the results are equal"
