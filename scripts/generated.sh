#!/bin/bash
# generated.sh: generates the BPF objects from a copy of the sources and
# compares them with the committed ones. The tree itself is not touched, so
# runs at once do not see each other's half-written files.
#
# Another compiler makes other objects, so on a system without clang-14 this runs
# in a tree of Debian 12.
set -euo pipefail
if ! command -v clang-14 >/dev/null && [[ -z $(apt-cache --names-only search '^clang-14$') ]]; then
	scripts/deps.sh tree
	exec go run ./test/tree/run -suite bookworm -packages ca-certificates,clang-14,libbpf-dev,linux-libc-dev,llvm-14 \
		-go -source -- scripts/generated.sh
fi
scripts/deps.sh generate
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -c --exclude=./.git --exclude=./bin . | tar -x -C "$copy"
(cd "$copy" && go generate ./bpf/...)
if ! diff -rq bpf "$copy/bpf"; then
	echo "generated: the committed files are not those of the sources: make generate, and commit" >&2
	exit 1
fi
echo "generated: the committed BPF objects are those of the sources ($(clang-14 --version | head -n1))"
