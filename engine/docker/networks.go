package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"berth/internal/regular"
	"berth/specs"
)

// networkID is the form of docker's IDs, which name files here.
var networkID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Networks keeps the networks that docker created in the driver, a file each, in a directory
// that outlives a reboot.
type Networks struct{ Dir string }

func (n Networks) path(id string) (string, error) {
	if !networkID.MatchString(id) {
		return "", specs.Invalid("NetworkID", id, "docker's ID of a network, of 64 hexadecimal digits")
	}
	return filepath.Join(n.Dir, id+".json"), nil
}

// Save stores a network. The file is whole or absent after a crash.
func (n Networks) Save(c *CreateNetwork) error {
	path, err := n.path(c.NetworkID)
	if err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := n.replace(path, data); err != nil {
		return fmt.Errorf("keep docker's network %s: %w", c.NetworkID, err)
	}
	return nil
}

// replace writes a file beside the path, and renames it.
func (n Networks) replace(path string, data []byte) (err error) {
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(n.Dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, openErr := os.Open(n.Dir)
	if openErr != nil {
		return fmt.Errorf("make the new name durable: %w", openErr)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Load returns a network.
func (n Networks) Load(id string) (*CreateNetwork, error) {
	path, err := n.path(id)
	if err != nil {
		return nil, err
	}
	data, err := regular.Read(path, 2*MaxRequest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("berth does not know docker's network %s; remove it and create it again: docker network rm "+
			"%[1]s", id)
	}
	if err != nil {
		return nil, err
	}
	c := new(CreateNetwork)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("read docker's network %s from %s: %w; remove it and create it again: docker network rm %[1]s",
			id, path, err)
	}
	return c, nil
}

// OfSpace returns the network with an address space, or nil if docker has created none with it
// yet. Networks are few, so it reads them all. A damaged file is an error only if no other one has
// the space.
func (n Networks) OfSpace(space string) (*CreateNetwork, error) {
	paths, _ := filepath.Glob(filepath.Join(n.Dir, "*.json")) // the pattern is well formed
	var damaged error
	for _, path := range paths {
		c, err := n.Load(strings.TrimSuffix(filepath.Base(path), ".json"))
		if err != nil {
			damaged = errors.Join(damaged, err)
			continue
		}
		if of, err := c.Space(); err == nil && of == space {
			return c, nil
		}
	}
	return nil, damaged
}

// Delete forgets a network. It succeeds if the network is not known.
func (n Networks) Delete(id string) error {
	path, err := n.path(id)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget docker's network %s: %w", id, err)
	}
	return nil
}
