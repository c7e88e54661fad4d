package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// pack makes a Debian package of programs, and returns its path.
func pack(t *testing.T, programs, version string) string {
	t.Helper()
	cmd := exec.Command("../../deploy/debian/build.sh", programs, "amd64", version, t.TempDir())
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "FAST=1")
	return strings.TrimSpace(output(t, cmd))
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	return output(t, exec.Command(name, args...))
}

// output returns the standard output of a command, and fails the test on an error.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", cmd.Args, err, complaint.String(), out)
	}
	return string(out)
}

func TestTheDebianPackage(t *testing.T) {
	t.Parallel()
	deb := pack(t, build(t), "v0.1.0-5-gabcdef0")
	for field, want := range map[string]string{"Package": "berth", "Version": "0.1.0+5+gabcdef0", "Architecture": "amd64"} {
		if got := strings.TrimSpace(command(t, "dpkg-deb", "--field", deb, field)); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	root := t.TempDir()
	command(t, "dpkg-deb", "--raw-extract", deb, root)
	for _, path := range wantedFiles(t) {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Error(err)
		}
	}
	for line := range strings.Lines(command(t, "dpkg-deb", "--contents", deb)) {
		f := strings.Fields(line)
		if f[1] != "root/root" || !slices.Contains([]string{"drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"}, f[0]) {
			t.Errorf("of a wrong owner or mode: %s", line)
		}
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		command(t, "sh", "-n", filepath.Join(root, "DEBIAN", script))
	}
	samples := command(t, "grep", "-rh", "bin/berth", root+"/usr/lib/systemd", root+"/usr/share/containers", root+"/usr/share/doc/berth/examples/docker")
	if strings.Contains(samples, "/usr/local") || !strings.Contains(samples, "ExecStart=/usr/bin/berthd\n") || !strings.Contains(samples, `"/usr/bin/berth-hook-client"`) {
		t.Errorf("samples name programs elsewhere:\n%s", samples)
	}
	if page := command(t, "zcat", root+"/usr/share/man/man8/berthd.8.gz"); !strings.Contains(page, `\-metrics`) {
		t.Errorf("the page of berthd:\n%s", page)
	}
	if to, err := os.Readlink(root + "/usr/bin/berth-runtime-late"); err != nil || to != "berth-runtime" {
		t.Errorf("berth-runtime-late is %q, %v", to, err)
	}
	lintian(t, deb)
}

// wantedFiles returns the programs, the units, and the other files of the package.
func wantedFiles(t *testing.T) []string {
	t.Helper()
	want := []string{
		"usr/bin/berth-hook-client",
		"usr/share/containers/oci/hooks.d/berth.json", "usr/share/bash-completion/completions/berth",
		"usr/share/man/man1/berth.1.gz", "usr/share/man/man8/berth-hook.8.gz", "usr/share/man/man8/berth-nri.8.gz", "usr/share/man/man8/berth-dhcp.8.gz", "usr/share/man/man8/berth-web.8.gz",
		"usr/share/man/man8/berth-cni.8.gz", "usr/lib/cni/berth-cni",
		"usr/share/man/man8/berth-docker.8.gz", "usr/share/man/man8/berth-netavark.8.gz", "usr/libexec/netavark/berth",
		"usr/share/man/man8/berth-runtime.8.gz",
		"usr/share/doc/berth/copyright", "usr/share/doc/berth/changelog.gz", "usr/share/doc/berth/docs/commands.md",
		"usr/share/doc/berth/specs/schema/endpoint.json", "usr/share/doc/berth/examples/kubernetes/berth.yaml", "usr/share/doc/berth/examples/docker/daemon.json",
		"DEBIAN/md5sums",
	}
	for pattern, dir := range map[string]string{"../../cmd/*": "usr/bin/", "../../deploy/systemd/*": "usr/lib/systemd/system/"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) < 3 {
			t.Fatalf("%q, %v", found, err)
		}
		for _, path := range found {
			want = append(want, dir+filepath.Base(path))
		}
	}
	return want
}

// lintian runs Debian's checker of packages.
func lintian(t *testing.T, deb string) {
	t.Helper()
	out, err := exec.Command(testnet.Program(t, "lintian"), "--allow-root", "--fail-on=error,warning", deb).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// TestDebianVersions checks that any name that git gives to sources becomes a version
// that Debian orders.
func TestDebianVersions(t *testing.T) {
	t.Parallel()
	versions := map[string]string{"v1.2.3": "1.2.3", "e1e5ed0-dirty": "0~gite1e5ed0+dirty", "12ab345": "0~git12ab345"}
	programs := t.TempDir()
	for _, name := range []string{"berth", "berthd", "berth-hook", "berth-dhcp", "berth-nri", "berth-cni", "berth-netavark", "berth-web", "berth-docker"} {
		writeFile(t, filepath.Join(programs, name), "#!/bin/sh\n")
		if err := os.Chmod(filepath.Join(programs, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for version, want := range versions {
		deb := pack(t, programs, version)
		if got := strings.TrimSpace(command(t, "dpkg-deb", "--field", deb, "Version")); got != want {
			t.Errorf("%s is %q, want %q", version, got, want)
		}
		command(t, "dpkg", "--validate-version", want)
	}
	command(t, "dpkg", "--compare-versions", versions["12ab345"], "lt", versions["v1.2.3"])
}
