#!/bin/bash
# deps.sh PURPOSE: installs the missing Debian packages for a purpose: demo, bench,
# test, web, axe, generate (the BPF objects), vm, tree or system. It does not install a package
# whose program exists already, from whatever source.
set -euo pipefail
cache=${BERTH_CACHE:-/var/cache/berth}

# Each line: the purposes; a program or file whose presence proves that the package is
# installed; the package. PACKAGE:FILE is a program that is extracted from its package
# into the cache, because the package would also install a service. PACKAGE/PACKAGE is
# the first of the two that this Debian has.
needs() {
	cat <<-'END'
		demo,bench,test,web  ip                          iproute2
		demo,bench,test  nsenter                         util-linux
		bench,demo,test  busybox                         busybox-static
		vm               busybox                         busybox-static
		demo,test,vm     runc                            runc
		test             crun                            crun
		bench,demo,test  podman                          podman
		demo,test        conmon                          conmon
		test,vm          ethtool                         ethtool
		demo,test,vm     ping                            iputils-ping
		test,vm          dnsmasq                         dnsmasq-base
		test,vm          dhcpd                           isc-dhcp-server:/usr/sbin/dhcpd
		test,vm          kea-dhcp4                       kea-dhcp4-server
		test,vm          kea-dhcp6                       kea-dhcp6-server
		test,vm,web      etcd                            etcd-server:/usr/bin/etcd
		test             etcdctl                         etcd-client:/usr/bin/etcdctl
		test             patch                           patch
		test             lintian                         lintian
		test             tmux                            tmux
		web              chromium                        chromium
		axe              npm                             npm
		test             containerd                      containerd
		test             systemd-analyze                 systemd
		test             setpriv                         util-linux
		test             promtool                        promtool/prometheus:/usr/bin/promtool
		test             /usr/include/linux/if_ether.h   linux-libc-dev
		generate         clang-14                        clang-14
		generate         llvm-strip-14                   llvm-14
		generate         ld.lld-14                       lld-14
		generate         /usr/include/bpf/bpf_helpers.h  libbpf-dev
		generate         /usr/include/linux/if_ether.h   linux-libc-dev
		bench,test       /usr/lib/cni/macvlan            containernetworking-plugins
		bench            iperf3                          iperf3
		vm               /bin/kill                       procps
		vm               ip                              iproute2
		vm               nsenter                         util-linux
		vm               qemu-system-x86_64              qemu-system-x86
		vm               systemd-analyze                 systemd
		vm               /usr/include/linux/if_ether.h   linux-libc-dev
		vm               xz                              xz-utils
		tree,vm,system   debootstrap                     debootstrap
		tree,system      git                             git
		tree             gcc                             gcc
		tree             /usr/include/stdio.h            libc6-dev
		system           qemu-system-x86_64              qemu-system-x86
		system           mkfs.ext4                       e2fsprogs
		system           debugfs                         e2fsprogs
	END
}

missing() {
	needs | while read -r purposes sign package; do
		[[ ,$purposes, == *,$1,* ]] || continue
		[[ -e $sign || -x $cache/bin/$sign ]] || command -v "$sign" >/dev/null || echo "$package"
	done
}

# extract PACKAGE:FILE copies a program of a package to the cache. It installs neither
# the package nor its dependencies.
extract() {
	local package=${1%%:*} file=${1#*:} dir
	[[ -n $(apt-cache madison "${package%%/*}") ]] && package=${package%%/*} || package=${package#*/}
	dir=$(mktemp -d)
	(cd "$dir" && apt-get download "${options[@]}" -o APT::Sandbox::User= "$package" && dpkg-deb -x ./*.deb root)
	install -D "$dir/root$file" "$cache/bin/${file##*/}"
	rm -rf "$dir"
	echo "  $cache/bin/${file##*/}"
}

purpose=${1:?demo, bench, test, web, axe, generate, vm, tree or system}
mapfile -t packages < <(missing "$purpose")
[[ ${#packages[@]} -gt 0 ]] || exit 0
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "deps: missing, install as root: ${packages[*]}" >&2
	exit 1
fi

# apt-get update fails if another one runs, so concurrent runs wait for this lock.
exec 9>/var/lock/berth-deps
flock 9
mapfile -t packages < <(missing "$purpose")
[[ ${#packages[@]} -gt 0 ]] || exit 0
echo "deps: installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
options=(-qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
apt-get update "${options[@]}"
installed=()
for package in "${packages[@]}"; do
	if [[ $package == *:* ]]; then extract "$package"; else installed+=("$package"); fi
done
[[ ${#installed[@]} -gt 0 ]] || exit 0
# The services of packages, as Kea's DHCP servers, are not started on this machine.
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
if [[ -e $policy ]]; then policy=; else printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy; fi
trap 'rm -f "$log" $policy' EXIT
# Packages print notes on standard error; they are shown only after a failure.
if ! apt-get install -y --no-install-recommends "${options[@]}" "${installed[@]}" 2>"$log" |
	sed -un 's/^Setting up \([^ ]*\).*/  \1/p'; then
	cat "$log" >&2
	exit 1
fi
