#!/bin/bash
# build.sh DIR: compiles the client for amd64 and arm64 into DIR. The bytes depend on the
# compiler's version, so it names one.
set -euo pipefail
into=$(cd "$1" && pwd)
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# arm64 has the numbers of system calls of asm-generic. Debian has its headers with a cross compiler only.
ln -s /usr/include/asm-generic "$work/asm"
headers=(-idirafter /usr/include)
compile() { # architecture of Go, of clang, flags
	clang-14 --target="$2-linux-gnu" "${@:3}" "${headers[@]}" -Os -Wall -Wextra -Werror -ffreestanding -nostdinc \
		-fno-stack-protector -fno-asynchronous-unwind-tables -fno-ident -fno-pic -c client.c -o "$work/client.o"
	ld.lld-14 -static --build-id=none -z noexecstack -s "$work/client.o" -o "$into/berth-hook-client-$1"
}
compile amd64 x86_64 -idirafter /usr/include/x86_64-linux-gnu
compile arm64 aarch64 -I"$work" -D__BITS_PER_LONG=64
