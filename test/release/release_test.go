// Package release builds a release twice, in two directories, and compares the results.
// The second build is only for the machine's own architecture, because the same lines
// build the other.
package release

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const version = "v9.8.7-6-gfedcba9"

// sources copies the sources of a release, without git's data.
func sources(t *testing.T, to string) {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum", "LICENSE", "LICENSES", "README.md", "CHANGELOG.md", "scripts", "deploy", "docs",
		"agent", "bpf", "check", "cmd", "dhcp", "engine", "hook", "internal", "ipam", "network", "specs"} {
		err := filepath.WalkDir(filepath.Join("../..", name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			rel, err := filepath.Rel("../..", path)
			if err != nil {
				return err
			}
			return copyFile(path, filepath.Join(to, rel))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, info.Mode())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// release builds a release in a directory and returns its output, the checksums.
func release(t *testing.T, dir, out string, env ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "scripts/release.sh"), out, version)
	cmd.Env = append(slices.Concat(os.Environ(), env), "SOURCE_DATE_EPOCH=1700000000", "FAST=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	sums, err := cmd.Output()
	if err != nil {
		t.Fatalf("release.sh: %v\n%s", err, &stderr)
	}
	return string(sums)
}

func TestTwoDirectoriesGiveTheSameBytes(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "a/longer name/two")
	sources(t, one)
	sources(t, two)
	first := release(t, one, filepath.Join(dir, "out1"), "TZ=Asia/Tokyo", "LC_ALL=C")
	second := release(t, two, filepath.Join(dir, "out2"), "TZ=America/Lima", "GOFLAGS=-buildvcs=true", "GOAMD64=v3", "ARCHES="+runtime.GOARCH)
	if want := onlyOf(first, runtime.GOARCH); second != want || strings.Count(want, "\n") != 2 {
		t.Errorf("one directory:\n%sanother:\n%s", want, second)
	}
	for _, name := range []string{
		"berth-" + version + "-linux-amd64.tar.gz", "berth-" + version + "-linux-arm64.tar.gz",
		"berth_9.8.7+6+gfedcba9_amd64.deb", "berth_9.8.7+6+gfedcba9_arm64.deb",
	} {
		if !strings.Contains(first, "  "+name+"\n") {
			t.Errorf("no %s in:\n%s", name, first)
		}
	}
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = filepath.Join(dir, "out1")
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		unpacked := filepath.Join(dir, arch)
		unpack(t, filepath.Join(dir, "out1", "berth-"+version+"-linux-"+arch+".tar.gz"), unpacked)
		programs, err := filepath.Glob(unpacked + "/*/berth*")
		if err != nil || len(programs) < 5 {
			t.Fatalf("programs %q, %v", programs, err)
		}
		for _, program := range programs {
			static(t, program, machine)
			saysVersion(t, program, arch)
		}
	}
}

// onlyOf returns the checksums of one architecture.
func onlyOf(sums, arch string) (own string) {
	for line := range strings.Lines(sums) {
		if strings.Contains(line, arch+".") {
			own += line
		}
	}
	return own
}

func unpack(t *testing.T, archive, to string) {
	t.Helper()
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-C", to, "-xzf", archive).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// static fails the test if a program is for another machine, or needs a loader.
func static(t *testing.T, program string, machine elf.Machine) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	defer f.Close()
	if f.Machine != machine {
		t.Errorf("%s is for %s, want %s", program, f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static", program)
		}
	}
}

func saysVersion(t *testing.T, program, arch string) {
	t.Helper()
	if arch != runtime.GOARCH {
		return
	}
	name := filepath.Base(program)
	args := map[string]string{"berth": "version", "berth-runtime": "--berth-version"}[name]
	if args == "" {
		args = "--version"
	}
	out, err := exec.Command(program, args).Output()
	if name == "berth-hook-client" { // it executes the program beside it
		name = "berth-hook"
	}
	if err != nil || !strings.HasPrefix(string(out), fmt.Sprint(name, " ", version)) {
		t.Errorf("%s %s: %v\n%s", name, args, err, out)
	}
}
