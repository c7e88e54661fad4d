package tree

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// busyboxTree returns a tree that has only busybox, in a cache of its own.
func busyboxTree(t *testing.T) *Tree {
	t.Helper()
	testnet.Need(t, testnet.Root)
	t.Setenv("BERTH_CACHE", t.TempDir())
	program, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/tree")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"usr/sbin", "usr/lib", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/sbin/busybox"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	return &Tree{Suite: "test", Dir: root}
}

// inTree runs a shell script in a sandbox and returns its output.
func inTree(t *testing.T, s *Sandbox, script string) (output string, status int) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	s.Output = out
	status, err = s.Run(t.Context(), "busybox", "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text), status
}

func TestSandboxSeesTheTreeAlone(t *testing.T) {
	tree := busyboxTree(t)
	s := tree.In()
	s.OwnNet = true
	s.Env = []string{"HERE=yes"}
	script := `cat /etc/here; echo "$HERE $PWD $(busybox hostname)"
		busybox ls / | busybox tr '\n' ' '; echo
		busybox awk '$5 == "/" { n++ } END { print n " root" }' /proc/self/mountinfo
		busybox ls /sys/class/net; busybox ps | busybox awk 'END { print NR <= 8 }'
		test -c /dev/net/tun && test -c /dev/null && test -c /dev/ptmx && echo devices
		echo changed >/etc/here; exit 7`
	got, status := inTree(t, s, strings.ReplaceAll(script, "cat ", "busybox cat "))
	want := "of the tree\nyes / debian\ndev etc proc root run sys tmp usr \n1 root\nlo\n1\ndevices\n"
	if status != 7 || got != want {
		t.Errorf("exit status %d, output:\n%s\nwant\n%s", status, got, want)
	}
	if text, err := os.ReadFile(filepath.Join(tree.Dir, "etc/here")); string(text) != "of the tree\n" {
		t.Errorf("the tree was changed: %q, %v", text, err)
	}
	left, err := filepath.Glob(filepath.Join(Cache(), "runs", "run-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestSandboxEndsItsProcesses(t *testing.T) {
	tree := busyboxTree(t)
	dir := t.TempDir()
	s := tree.In()
	s.Binds = []Bind{{Source: dir, Target: "/out"}}
	s.Plain = []string{"/var/lib/plain"}
	got, status := inTree(t, s, `busybox sh -c 'busybox readlink /proc/self/ns/pid >/out/ns; exec busybox sleep 1000' &
		until busybox test -s /out/ns; do busybox usleep 1000; done
		busybox grep -c ' /var/lib/plain ' /proc/self/mounts
		busybox kill -9 $$`)
	if status != 128+9 || got != "1\n" {
		t.Errorf("exit status %d, output %q", status, got)
	}
	ns, err := os.ReadFile(filepath.Join(dir, "ns"))
	if err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "the sandbox's processes end", func() bool {
		all, err := filepath.Glob("/proc/[0-9]*/ns/pid")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range all {
			if to, _ := os.Readlink(name); to == strings.TrimSpace(string(ns)) {
				return false
			}
		}
		return true
	})
}

func TestSandboxReadOnlyBind(t *testing.T) {
	tree := busyboxTree(t)
	dir := t.TempDir()
	s := tree.In()
	s.Binds = []Bind{{Source: dir, Target: "/given", ReadOnly: true}}
	got, status := inTree(t, s, `echo x >/given/file`)
	if status == 0 || !strings.Contains(got, "Read-only file system") {
		t.Errorf("exit status %d, output %q", status, got)
	}
}

// A program that is named by a relative path is that of the directory in which the
// command starts.
func TestProgramOfTheDirectory(t *testing.T) {
	s := busyboxTree(t).In()
	program, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	s.Binds, s.Dir = []Bind{{Source: program, Target: "/root/programs/true", ReadOnly: true}}, "/root"
	if status, err := s.Run(t.Context(), "programs/true"); err != nil || status != 0 {
		t.Errorf("exit status %d, %v", status, err)
	}
}

// The root directory of a sandbox is mounted in the cache. A sandbox that sees the cache
// does not see its own mounts a second time there.
func TestSandboxWithTheCache(t *testing.T) {
	s := busyboxTree(t).In()
	s.Binds = []Bind{{Source: Cache(), Target: "/var/cache/berth"}}
	got, status := inTree(t, s, `busybox awk '$5 ~ "^/var/cache/berth" { print $5 }' /proc/self/mountinfo; busybox ls /var/cache/berth`)
	if status != 0 || got != "/var/cache/berth\nruns\n" {
		t.Errorf("exit status %d, mounts and files:\n%s", status, got)
	}
}
