package deploy

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"berth/internal/testnet"
)

// podman returns a command of podman with its own storage and configuration.
func podman(dir string, args ...string) *exec.Cmd {
	own := []string{"--root", dir + "/root", "--runroot", dir + "/run", "--tmpdir", dir + "/tmp",
		"--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"}
	return exec.Command("podman", append(own, args...)...)
}

// entry returns the content of a file in an archive.
func entry(t *testing.T, archive, name string) []byte {
	t.Helper()
	var found []byte
	walk(t, archive, func(h *tar.Header, r io.Reader) {
		if h.Name == name {
			var err error
			if found, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
	})
	if found == nil {
		t.Fatalf("no %s in %s", name, archive)
	}
	return found
}

func walk(t *testing.T, archive string, each func(*tar.Header, io.Reader)) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		each(h, r)
	}
}

// TestTheImage checks that the image has the three programs that the manifests start,
// and no other file.
func TestTheImage(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root) // podman's storage
	dir := t.TempDir()
	archive := filepath.Join(dir, "image.tar")
	for _, args := range [][]string{
		{"build", "--isolation", "chroot", "-f", "../../deploy/image/Containerfile", "-t", "localhost/berth", build(t)},
		{"save", "-o", archive, "localhost/berth"},
	} {
		if out, err := podman(dir, args...).CombinedOutput(); err != nil {
			t.Fatalf("podman %q: %v\n%s", args, err, out)
		}
	}
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(entry(t, archive, "manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, c := range daemonSet(t).Containers {
		if !slices.Contains(manifest[0].RepoTags, c.Image) {
			t.Errorf("%s is of the image %q, and this is %q", c.Name, c.Image, manifest[0].RepoTags)
		}
	}
	var config struct{ Config struct{ Entrypoint []string } }
	if err := json.Unmarshal(entry(t, archive, manifest[0].Config), &config); err != nil {
		t.Fatal(err)
	}
	if got := config.Config.Entrypoint; !slices.Equal(got, []string{imageBin + "/berthd"}) {
		t.Errorf("entrypoint %q", got)
	}
	want := []string{"usr/local/bin/berth", "usr/local/bin/berth-dhcp", "usr/local/bin/berth-nri", "usr/local/bin/berthd"}
	var got []string
	for i, layer := range manifest[0].Layers {
		path := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(path, entry(t, archive, layer), 0o600); err != nil {
			t.Fatal(err)
		}
		walk(t, path, func(h *tar.Header, _ io.Reader) {
			if h.Typeflag == tar.TypeReg {
				got = append(got, h.Name)
			}
			if h.Uid != 0 || h.Typeflag == tar.TypeReg && h.Mode&0o7777 != 0o755 {
				t.Errorf("%s is of user %d, mode %o", h.Name, h.Uid, h.Mode)
			}
		})
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}
