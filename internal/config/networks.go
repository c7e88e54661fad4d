package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"berth/specs"
)

// Network reads DIR/networks.d/NAME.toml. If the network does not exist, the
// error wraps fs.ErrNotExist and lists the existing ones; if the name is invalid,
// it is a *[specs.ValueError] without a key, to which the caller adds the place
// of the name by [specs.At].
func Network(dir, name string) (*specs.Network, error) {
	if err := specs.CheckNetworkName(name); err != nil {
		return nil, err
	}
	if err := checkDirs(dir); err != nil {
		return nil, fmt.Errorf("network %q: %w", name, err)
	}
	path := NetworkFile(dir, name)
	data, err := readRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unknownNetwork(dir, name)
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

// Networks reads all of DIR/networks.d, sorted by name. For each file that cannot
// be used it returns an error that names it, beside the usable networks.
func Networks(dir string) ([]*specs.Network, []error) {
	if err := checkDirs(dir); err != nil {
		return nil, []error{fmt.Errorf("networks: %w", err)}
	}
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
			errs = append(errs, namedError(dir, name, err))
		default:
			all = append(all, n)
		}
	}
	return all, errs
}

// checkDirs checks the configuration directory and its networks.d.
func checkDirs(dir string) error { return cmp.Or(checkDir(dir), checkDir(NetworksDir(dir))) }

// namedError adds the file's path to an error about its name.
func namedError(dir, name string, err error) error {
	if specs.CheckNetworkName(name) != nil {
		return specs.At(NetworkFile(dir, name), err)
	}
	return err
}

// Names returns the names of the existing network files, sorted, without opening
// them. If the directory does not exist, there are none.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(NetworksDir(dir))
	if err != nil {
		err = checkDangling(NetworksDir(dir), err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
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

// maxNamed bounds the networks that an error lists.
const maxNamed = 10

func unknownNetwork(dir, name string) error {
	names, err := Names(dir)
	if err != nil {
		return errors.Join(fs.ErrNotExist, err)
	}
	there := "none; create it: berth network create"
	if len(names) > 0 {
		there = strings.Join(names[:min(len(names), maxNamed)], ", ")
	}
	if more := len(names) - maxNamed; more > 0 {
		there += fmt.Sprintf(" and %d more", more)
	}
	return &specs.ValueError{
		Value: name, Err: fs.ErrNotExist,
		Problem: fmt.Sprintf("there is no such network in %s, which has %s", NetworksDir(dir), there),
	}
}
