#!/bin/bash
# deps.sh demo|bench|test|vm|tree: installs the Debian packages that are missing for a
# purpose. What is there already, in whatever way it came, is left alone.
set -euo pipefail

# Each line: the purposes, what shows that it is there, the package that has it.
needs() {
	cat <<-'END'
		demo,bench,test  ip                              iproute2
		demo,bench,test  nsenter                         util-linux
		demo,bench,test  busybox                         busybox-static
		demo,test        runc                            runc
		test             crun                            crun
		demo,test        podman                          podman
		demo,test        conmon                          conmon
		test             tmux                            tmux
		test             containerd                      containerd
		test             systemd-analyze                 systemd
		test             setpriv                         util-linux
		test             promtool                        prometheus
		test             clang-14                        clang-14
		test             llvm-strip-14                   llvm-14
		test             /usr/include/bpf/bpf_helpers.h  libbpf-dev
		test             /usr/include/linux/if_ether.h   linux-libc-dev
		bench            /usr/lib/cni/macvlan            containernetworking-plugins
		bench            iperf3                          iperf3
		vm               ip                              iproute2
		vm               nsenter                         util-linux
		vm               ethtool                         ethtool
		vm               ping                            iputils-ping
		vm               qemu-system-x86_64              qemu-system-x86
		vm               systemd-analyze                 systemd
		vm               /usr/include/linux/if_ether.h   linux-libc-dev
		vm               xz                              xz-utils
		tree             debootstrap                     debootstrap
		tree             git                             git
	END
}

missing() {
	needs | while read -r purposes sign package; do
		[[ ,$purposes, == *,$1,* ]] || continue
		[[ -e $sign ]] || command -v "$sign" >/dev/null || echo "$package"
	done
}

purpose=${1:?demo, bench, test, vm or tree}
packages=$(missing "$purpose")
[[ -n $packages ]] || exit 0
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "deps: missing, install as root:" $packages >&2
	exit 1
fi

# apt-get update does not wait for another one; so that runs queue up here.
exec 9>/var/lock/berth-deps
flock 9
packages=$(missing "$purpose")
[[ -n $packages ]] || exit 0
echo "deps: installing" $packages
export DEBIAN_FRONTEND=noninteractive
options=(-qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
apt-get update "${options[@]}"
apt-get install -y --no-install-recommends "${options[@]}" $packages |
	sed -un 's/^Setting up \([^ ]*\).*/  \1/p'
# Of prometheus only promtool is wanted, not a server that listens.
if [[ " ${packages//$'\n'/ } " == *" prometheus "* ]] && command -v systemctl >/dev/null; then
	systemctl --quiet disable --now prometheus 2>/dev/null || systemctl --quiet disable prometheus
fi
