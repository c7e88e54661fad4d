#!/bin/sh
# pictures.sh DIR: makes the pictures of docs/ from the page of make demo-web, in Debian's
# Chromium. With AXE=1 it examines the page with axe-core instead, which npm downloads.
set -eu
dir=$(realpath "$1")
work=$(mktemp -d)
demo=
end() {
	[ -z "$demo" ] || kill "$demo" 2>/dev/null || true
	rm -rf "$work"
}
trap end EXIT INT TERM
go build -o "$work/demo" ./test/demo
"$work/demo" --bin bin --page 127.0.0.1:0 >"$work/log" 2>&1 &
demo=$!
page=
for _ in $(seq 120); do
	page=$(grep -o 'http://127.0.0.1:[0-9]*/#.*' "$work/log") && break
	sleep 1
done
[ -n "$page" ] || { cat "$work/log" >&2; exit 1; }
if [ -n "${AXE:-}" ]; then
	axe=$(scripts/axe.sh)
	[ -n "$axe" ]
	BERTH_PAGE=$page BERTH_AXE=$axe go test -count=1 -tags browser -run '^TestAxe$' -v ./cmd/berth-web/internal/web
	exit
fi
BERTH_PAGE=$page BERTH_PICTURES=$dir go test -count=1 -tags browser -run '^TestPictures$' ./cmd/berth-web/internal/web
