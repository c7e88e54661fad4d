package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"berth/specs"
)

// Save checks a network and writes it as DIR/networks.d/NAME.toml, mode 0644, and
// makes the directory if needed. The file appears complete or not at all, and an
// existing one is never replaced: that error wraps fs.ErrExist.
func Save(dir string, n *specs.Network) error {
	if err := specs.CheckNetworkName(n.Name); err != nil {
		return err
	}
	full := *n
	full.SetDefaults()
	if err := full.Check(); err != nil {
		return err
	}
	data, err := specs.EncodeNetwork(&full)
	if err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	if err := MakeDirs(NetworksDir(dir)); err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	if err := checkDirs(dir); err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	path := NetworkFile(dir, n.Name)
	err = writeNew(path, data)
	if errors.Is(err, fs.ErrExist) {
		return &specs.ValueError{Value: n.Name, Problem: "a network has this name already: " + path, Err: fs.ErrExist}
	}
	if err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	return nil
}

// Remove deletes a network's file, even one that does not parse. If the network does
// not exist, the error is that of [Network].
func Remove(dir, name string) error { return atFile(dir, name, os.Remove) }

// Exists returns an error like that of [Remove] if there is no file of a network. It does not read the
// file.
func Exists(dir, name string) error {
	return atFile(dir, name, func(path string) error {
		_, err := os.Lstat(path)
		return err
	})
}

// atFile calls a function with the path of a network's file.
func atFile(dir, name string, do func(path string) error) error {
	if err := specs.CheckNetworkName(name); err != nil {
		return err
	}
	err := do(NetworkFile(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return unknownNetwork(dir, name)
	}
	if err != nil {
		return fmt.Errorf("network %q: %w", name, err)
	}
	return nil
}

// writeNew writes a temporary file in the same directory, under a name that readers
// skip, and links it to its path: link(2), unlike rename(2), does not replace.
func writeNew(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
