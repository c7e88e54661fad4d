#!/bin/bash
# build.sh PROGRAMS ARCH VERSION OUT: makes OUT/berth_VERSION_ARCH.deb from the static
# programs in the directory PROGRAMS. It needs only dpkg-deb. The manual pages are the
# --help output of the programs in the directory HELP, which this machine can execute;
# HELP defaults to PROGRAMS. The same input and SOURCE_DATE_EPOCH give the same bytes.
# FAST selects a faster compression.
set -euo pipefail
programs=$1 arch=$2 version=$3 out=$4
help=${HELP:-$programs}
: "${SOURCE_DATE_EPOCH:?the seconds of the sources\' last change}"
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
umask 022
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# Debian's versions begin with a digit, and have a hyphen only before a revision.
number=${version#v}
[[ $number =~ ^[0-9]+\. ]] || number=0~git$number
number=${number//-/+}

put() { # mode, file, directory
	install -D -m "$1" "$2" "$root$3/$(basename "$2")"
}

# Samples name /usr/local/bin, where an administrator installs programs; a package
# installs them in /usr/bin.
put_sample() { # file, directory
	mkdir -p "$root$2"
	sed 's|/usr/local/bin/|/usr/bin/|g' "$1" >"$root$2/$(basename "$1")"
}

# manual writes a manual page from a program's --help.
manual() { # program, section, one line
	local page=$root/usr/share/man/man$2/$1.$2
	mkdir -p "$(dirname "$page")"
	{
		printf '.TH %s %s "%s" "berth %s"\n' "${1^^}" "$2" "$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)" "$version"
		printf '.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.nf\n' "${1//-/\\-}" "$3"
		{ "$help/$1" --help 2>&1 || true; } | sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/"
		printf '.fi\n.SH SEE ALSO\nThe pages in /usr/share/doc/berth.\n'
	} >"$page"
	gzip -9n "$page"
}

for program in "$programs"/berth*; do put 0755 "$program" /usr/bin; done
manual berth 1 'manages networks of containers on the LAN, and shows their traffic'
manual berthd 8 'counts and judges the traffic of containers on the LAN'
manual berth-hook 8 'attaches a container, as a hook of an OCI runtime'
if [[ -e $programs/berth-hook-client ]]; then # it has the flags of berth-hook, and no help of its own
	ln -s berth-hook.8.gz "$root/usr/share/man/man8/berth-hook-client.8.gz"
fi
manual berth-dhcp 8 'keeps the DHCP leases of containers'
manual berth-nri 8 'attaches pods of Kubernetes, as a plugin of NRI'
manual berth-web 8 'serves a page of the containers on the LAN'
manual berth-cni 8 'attaches containers, as a plugin of CNI'
mkdir -p "$root/usr/lib/cni" # Debian's directory of CNI plugins
ln -s ../../bin/berth-cni "$root/usr/lib/cni/berth-cni"
manual berth-docker 8 'attaches containers of docker, as a driver of its networks'
manual berth-netavark 8 'attaches containers of podman, as a driver of its networks'
if [[ -e $programs/berth-runtime ]]; then # under its other name it attaches at start
	manual berth-runtime 8 'an OCI runtime that adds the hook to containers that ask'
	ln -s berth-runtime "$root/usr/bin/berth-runtime-late"
	ln -s berth-runtime.8.gz "$root/usr/share/man/man8/berth-runtime-late.8.gz"
fi
# podman finds a driver of networks by the name of a file.
mkdir -p "$root/usr/libexec/netavark"
ln -s ../../bin/berth-netavark "$root/usr/libexec/netavark/berth"
for unit in "$tree"/deploy/systemd/*; do put_sample "$unit" /usr/lib/systemd/system; done
put_sample "$tree/deploy/hooks.d/berth.json" /usr/share/containers/oci/hooks.d
mkdir -p "$root/usr/share/bash-completion/completions"
"$help/berth" completion bash >"$root/usr/share/bash-completion/completions/berth"

doc=/usr/share/doc/berth
put 0644 "$here/copyright" $doc
for page in README.md CHANGELOG.md; do put 0644 "$tree/$page" $doc; done
gzip -9n >"$root$doc/changelog.gz" <<-END
	berth ($number) unstable; urgency=medium

	  * CHANGELOG.md lists the changes that users notice.

	 -- $(sed -n 's/^Maintainer: //p' "$here/control.in")  $(date -u -d "@$SOURCE_DATE_EPOCH" -R)
END
install -D -m 0644 "$here/lintian-overrides" "$root/usr/share/lintian/overrides/berth"
(cd "$tree" && find docs specs -name '*.md' -o -path 'specs/schema/*.json') | LC_ALL=C sort |
	while read -r page; do put 0644 "$tree/$page" "$doc/$(dirname "$page")"; done
for sample in grafana kubernetes prometheus; do # samples for other machines, copied unchanged
	for file in "$tree/deploy/$sample"/*; do put 0644 "$file" "$doc/examples/$sample"; done
done
for sample in cdi containerd crio docker podman; do
	for file in "$tree/deploy/$sample"/*; do put_sample "$file" "$doc/examples/$sample"; done
done

mkdir -p "$root/DEBIAN"
size=$(du -sk --apparent-size "$root" | cut -f1)
sed -e "s/@VERSION@/$number/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" "$here/control.in" >"$root/DEBIAN/control"
for script in postinst prerm postrm; do install -m 0755 "$here/$script" "$root/DEBIAN/"; done
(cd "$root" && find usr -type f | LC_ALL=C sort | xargs md5sum) >"$root/DEBIAN/md5sums"
find "$root" -type d -exec chmod 0755 {} +
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
pack=(-Zxz --threads-max=1) # the number of threads would change the bytes
[[ -z ${FAST:-} ]] || pack=(-Zgzip -z1)
dpkg-deb --root-owner-group "${pack[@]}" --build "$root" "$out/berth_${number}_$arch.deb" >/dev/null
echo "$out/berth_${number}_$arch.deb"
