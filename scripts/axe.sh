#!/bin/bash
# axe.sh: prints the path of axe-core, which npm downloads once into the cache. If it cannot be
# had, as in a tree without npm, it prints nothing and the reason on standard error: make web-test
# then leaves the examination out, because no other test depends on npm's registry.
set -euo pipefail
version=4.14.1
sum=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c # of axe.min.js in it
file=${BERTH_CACHE:-/var/cache/berth}/axe/axe-core-$version.min.js

is_whole() { [[ -e $1 ]] && sha256sum --status --check - <<<"$sum  $1"; }

give_up() {
	echo "axe: axe-core $version is missing: $1; the page is not examined for accessibility" >&2
	exit 0
}

if ! is_whole "$file"; then
	command -v npm >/dev/null || give_up 'npm is not installed'
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	(cd "$work" && timeout 120 npm pack --silent "axe-core@$version" >/dev/null && tar -xf "axe-core-$version.tgz" package/axe.min.js) ||
		give_up 'npm did not download it'
	is_whole "$work/package/axe.min.js" || {
		echo "axe: axe.min.js of axe-core $version has not the SHA-256 $sum" >&2
		exit 1
	}
	install -D -m 644 "$work/package/axe.min.js" "$file.$$"
	mv "$file.$$" "$file"
fi
echo "$file"
