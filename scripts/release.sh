#!/bin/bash
# release.sh [OUT [VERSION]]: builds static programs for amd64 and arm64, as tarballs
# for any distribution and as Debian packages, with checksums. The same sources give
# the same bytes in any directory, at any time. VERSION defaults to the output of git
# describe, SOURCE_DATE_EPOCH to the last commit's date. ARCHES limits the
# architectures; FAST selects a faster compression.
set -euo pipefail
tree=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$tree/dist}
cd "$tree"
version=${2:-$(git describe --tags --always --dirty)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
go=${GO:-go}
read -ra arches <<<"${ARCHES:-amd64 arm64}"
export SOURCE_DATE_EPOCH CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS= GOAMD64=v1 GOARM64=v8.0 TZ=UTC LC_ALL=C
umask 022
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Go's VCS stamp would differ between a clone and a tarball; the version is passed
# instead.
compile() { # architecture, directory
	mkdir -p "$2"
	local link="-s -w -buildid= -X main.version=$version"
	local hook="$link -X runtime.godebugDefault=memprofilerate=0"
	local flags=(-trimpath -buildvcs=false -o "$2/")
	GOOS=linux GOARCH=$1 $go build "${flags[@]}" -ldflags "$link" -tags grpcnotrace ./cmd/...
	GOOS=linux GOARCH=$1 $go build "${flags[@]}" -ldflags "$hook" -tags hook ./cmd/berth-{hook,cni,netavark}
	install -m755 "engine/resident/client/berth-hook-client-$1" "$2/berth-hook-client"
}

pack() { # architecture
	local name=berth-$version-linux-$1
	mkdir -p "$work/$name"
	cp "$work/bin/$1"/* LICENSE README.md CHANGELOG.md "$work/$name/"
	mkdir "$work/$name/LICENSES"
	cp LICENSES/* "$work/$name/LICENSES/"
	cp -R docs specs deploy "$work/$name/"
	rm -rf "$work/$name"/specs/{*.go,testdata}
	tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode='u=rwX,go=rX' --format=gnu -c "$name" | gzip "-n${FAST:+1}" >"$out/$name.tar.gz"
}

for arch in "${arches[@]}"; do compile "$arch" "$work/bin/$arch"; done
help=$work/bin/$($go env GOHOSTARCH)
[[ -d $help ]] || { GOARCH=$($go env GOHOSTARCH) && help=$work/bin/help && compile "$GOARCH" "$help"; }
made=()
for arch in "${arches[@]}"; do
	pack "$arch"
	deb=$(HELP=$help deploy/debian/build.sh "$work/bin/$arch" "$arch" "$version" "$out")
	made+=("berth-$version-linux-$arch.tar.gz" "$(basename "$deb")")
done
cd "$out"
sha256sum "${made[@]}" >SHA256SUMS
cat SHA256SUMS
