package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"berth/specs"
)

// Network reads DIR/networks.d/NAME.toml. The error of a network that does not
// exist wraps fs.ErrNotExist and names those that do; the error of a name that
// cannot be one is a *[specs.ValueError] without a key, so that the caller can
// say with [specs.At] where the name stood.
func Network(dir, name string) (*specs.Network, error) {
	if err := specs.CheckNetworkName(name); err != nil {
		return nil, err
	}
	path := NetworkFile(dir, name)
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unknown(dir, name)
	}
	if err != nil {
		return nil, fmt.Errorf("network %q: %w", name, err)
	}
	n, err := specs.DecodeNetwork(name, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// Networks reads all of DIR/networks.d, sorted by name. A file that cannot be
// used is an error that names it, beside the networks that can be.
func Networks(dir string) ([]*specs.Network, []error) {
	names, err := Names(dir)
	if err != nil {
		return nil, []error{err}
	}
	var all []*specs.Network
	var errs []error
	for _, name := range names {
		n, err := Network(dir, name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since the listing
		case err != nil:
			errs = append(errs, named(dir, name, err))
		default:
			all = append(all, n)
		}
	}
	return all, errs
}

// named makes sure that an error about a file's name tells which file.
func named(dir, name string, err error) error {
	if specs.CheckNetworkName(name) != nil {
		return specs.At(NetworkFile(dir, name), err)
	}
	return err
}

// Names returns the names of the network files there are, sorted, without
// opening them. No directory is no networks.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(NetworksDir(dir))
	if err != nil {
		err = dangling(NetworksDir(dir), err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("networks: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), suffix)
		if ok && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	slices.Sort(names) // the entries are sorted with their suffix: "a-b.toml" before "a.toml"
	return names, nil
}

// maxNamed is how many networks an error names.
const maxNamed = 10

func unknown(dir, name string) error {
	names, err := Names(dir)
	if err != nil {
		return errors.Join(fs.ErrNotExist, err)
	}
	there := "none yet: berth network create makes one"
	if len(names) > 0 {
		there = strings.Join(names[:min(len(names), maxNamed)], ", ")
	}
	if more := len(names) - maxNamed; more > 0 {
		there += fmt.Sprintf(" and %d more", more)
	}
	return &specs.ValueError{
		Value: name, Err: fs.ErrNotExist,
		Want: fmt.Sprintf("a network that %s has (%s)", NetworksDir(dir), there),
	}
}
