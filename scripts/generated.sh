#!/bin/bash
# generated.sh: generates the BPF objects from a copy of the sources and
# compares them with the committed ones. It does not write to the tree, so concurrent
# runs do not read each other's incomplete files.
#
# Objects depend on the compiler's version, so on a system without clang-14 this runs in
# a tree of Debian 12.
set -euo pipefail
if ! command -v clang-14 >/dev/null && [[ -z $(apt-cache --names-only search '^clang-14$') ]]; then
	scripts/deps.sh tree
	exec go run ./test/tree/run -suite bookworm -packages ca-certificates,clang-14,libbpf-dev,linux-libc-dev,lld-14,llvm-14 \
		-go -source -- scripts/generated.sh
fi
scripts/deps.sh generate
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -c --exclude=./.git --exclude=./bin . | tar -x -C "$copy"
(cd "$copy" && go generate ./bpf/... ./engine/resident)
if ! diff -rq bpf "$copy/bpf" || ! diff -rq engine/resident/client "$copy/engine/resident/client"; then
	echo "generated: the committed BPF objects differ from the sources; run make generate and commit the result" >&2
	exit 1
fi
echo "generated: the committed BPF objects and the client match the sources ($(clang-14 --version | head -n1))"
