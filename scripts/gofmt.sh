#!/bin/bash
# gofmt.sh: fails and prints the files that gofmt would change.
set -euo pipefail
files=$(gofmt -l .)
if [[ -n $files ]]; then
	printf 'gofmt: not formatted, run gofmt -w:\n%s\n' "$files" >&2
	exit 1
fi
