package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// nameHeal is a file in STATE/state that exists while interfaces are to be made again: systemd
// starts `berth heal` for it (berth-heal.path), and `berth heal --stay` waits for it.
const nameHeal = "heal"

// MarkHeal makes that file.
func (s *Store) MarkHeal() error {
	f, err := s.OpenFile(nameHeal, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// HealMark returns the path of that file.
func (s *Store) HealMark() string { return filepath.Join(s.Dir(), nameHeal) }

// IsHealMarked reports whether that file exists.
func (s *Store) IsHealMarked() (bool, error) {
	_, err := os.Lstat(s.HealMark())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// UnmarkHeal removes that file, if it exists.
func (s *Store) UnmarkHeal() error {
	if err := os.Remove(s.HealMark()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
