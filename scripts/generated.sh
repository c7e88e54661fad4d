#!/bin/bash
# generated.sh: generates the BPF objects from a copy of the sources and
# compares them with the committed ones. The tree itself is not touched, so
# runs at once do not see each other's half-written files.
set -euo pipefail
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -c --exclude=./.git --exclude=./bin . | tar -x -C "$copy"
(cd "$copy" && go generate ./bpf/...)
if ! diff -rq bpf "$copy/bpf"; then
	echo "generated: the committed files are not those of the sources: make generate, and commit" >&2
	exit 1
fi
echo "generated: the committed BPF objects are those of the sources ($(clang-14 --version | head -n1))"
