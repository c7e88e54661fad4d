package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"berth/internal/testnet"

	"golang.org/x/sys/unix"
)

// TestPinsOfOthersAreRefused lets another user create the directories first, or be able to
// change them: neither the hook nor the agent uses the pins there.
func TestPinsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	layout := "v" + strconv.Itoa(Version)
	for name, make := range map[string]func(dir string) error{
		"another user's": func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 1000, 0)) },
		"group-writable": func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)) },
		"a link":         func(dir string) error { return os.Symlink(filepath.Dir(dir), dir) },
		"layout that all can write to": func(dir string) error {
			at := filepath.Join(dir, layout)
			return errors.Join(os.MkdirAll(at, 0o700), os.Chmod(at, 0o777|os.ModeSticky))
		},
		"layout of another user's": func(dir string) error {
			at := filepath.Join(dir, layout)
			return errors.Join(os.MkdirAll(at, 0o700), os.Chown(at, 1000, 0))
		},
	} {
		dir := bpffs(t)
		must(t, make(dir))
		if _, err := Open(dir); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: Open: %v, want ErrUnsafe", name, err)
		}
		if d, err := Load(dir, Options{MaxEndpoints: 7}); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: Load: %v, want ErrUnsafe", name, err)
			if err == nil {
				must(t, d.Close())
			}
		}
	}
}

// TestPinsAreForTheirOwnerAlone checks the modes of all pins.
func TestPinsAreForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := bpffs(t)
	mustLoad(t, testnet.Here(t), dir, Options{MaxEndpoints: 7})
	for _, at := range []string{dir, pinsUnder(dir).dir, pinsUnder(dir).linksDir(), pinsUnder(dir).objectPath(mapEndpoints)} {
		var st unix.Stat_t
		must(t, unix.Stat(at, &st))
		if st.Uid != 0 || st.Mode&0o077 != 0 {
			t.Errorf("%s: user %d, mode %04o, want none for others than root", at, st.Uid, st.Mode&0o7777)
		}
	}
}
