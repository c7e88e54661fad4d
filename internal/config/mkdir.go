package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeDirs creates a directory and those above it that are missing. Every user can read them, whatever
// the umask is: engines of other users read their configuration there, and fail if they cannot.
func MakeDirs(dir string) error {
	var made []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, d)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range made {
		if err := os.Chmod(d, 0o755); err != nil {
			return err
		}
	}
	return nil
}
