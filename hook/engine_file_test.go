package hook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadEngineFile requires that no file of an engine delays a start or takes memory without bound.
func TestReadEngineFile(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		want bool
	}{
		"a small file":       {func(path string) error { return os.WriteFile(path, []byte(`{"hostname":"web"}`), 0o600) }, true},
		"no file":            {func(string) error { return nil }, false},
		"no JSON":            {func(path string) error { return os.WriteFile(path, []byte("web"), 0o600) }, false},
		"a FIFO":             {func(path string) error { return unix.Mkfifo(path, 0o600) }, false},
		"a directory":        {func(path string) error { return os.Mkdir(path, 0o700) }, false},
		"a device":           {func(path string) error { return os.Symlink("/dev/zero", path) }, false},
		"a file that grows":  {func(path string) error { return os.Symlink("/proc/self/cmdline", path) }, false},
		"a file of 33 MB":    {func(path string) error { return os.WriteFile(path, large(33<<20), 0o600) }, false},
		"a file of 64 kB":    {func(path string) error { return os.WriteFile(path, large(64<<10), 0o600) }, true},
		"a link to the file": {func(path string) error { return linked(path) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "config.json")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			var into struct{ Hostname string }
			if got := readEngineFile(path, &into); got != c.want || got && into.Hostname == "" {
				t.Errorf("%t, host name %.10q; want it read: %t", got, into.Hostname, c.want)
			}
		})
	}
}

// large returns a file with a long host name.
func large(size int) []byte { return []byte(`{"hostname":"` + strings.Repeat("w", size) + `"}`) }

func linked(path string) error {
	if err := os.WriteFile(path+".real", []byte(`{"hostname":"web"}`), 0o600); err != nil {
		return err
	}
	return os.Symlink(path+".real", path)
}
