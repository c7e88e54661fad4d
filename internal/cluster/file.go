package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"berth/internal/regular"
)

// fileName is the node's file in the state directory. It outlives a reboot.
const fileName = "cluster.json"

// maxFile bounds the node's file: about 100,000 keys.
const maxFile = 16 << 20

// File is the node's own knowledge: its identity, and the keys that it uses.
type File struct {
	Version int    `json:"version"`
	Node    NodeID `json:"node"`
	// Boots are the boot ids under which this state directory may have registered: the
	// one that is registered, and those whose registration has had no answer.
	Boots []string `json:"boots,omitempty"`
	// Registered is the revision of the node's registration, or 0 before the first.
	Registered int64 `json:"registered,omitempty"`
	// Seen is the highest revision of the store that this node knew when it wrote the file.
	Seen int64 `json:"seen,omitempty"`
	// Held are the keys that this node uses, with the revision of its own last change.
	Held map[string]int64 `json:"held,omitempty"`
}

// Disk loads and saves the node's file.
type Disk interface {
	Load() (File, error) // fs.ErrNotExist if there is none
	Save(File) error     // returns after the file is on the disk
}

// NewFile returns the file of a new node with a random identity.
func NewFile() File {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	return File{Version: 1, Node: NodeID(hex.EncodeToString(id)), Held: map[string]int64{}}
}

func (f File) clone() File {
	f.Boots, f.Held = slices.Clone(f.Boots), maps.Clone(f.Held)
	if f.Held == nil {
		f.Held = map[string]int64{}
	}
	return f
}

// newest returns the highest revision in the file.
func (f File) newest() int64 {
	return slices.Max(append(slices.Collect(maps.Values(f.Held)), f.Registered, f.Seen))
}

// Directory is the state directory as a Disk.
type Directory string

// Load reads the node's file. A damaged one is an error, not a new identity, because this
// node may have containers with addresses of its blocks.
func (d Directory) Load() (File, error) {
	path := filepath.Join(string(d), fileName)
	text, err := readBounded(path)
	if err != nil {
		return File{}, err
	}
	f, err := parseFile(text)
	if err != nil {
		return File{}, fmt.Errorf("the node's file %q is damaged: %w; restore it, or stop this node's containers, "+
			"remove the file and release the old node: berth cluster forget NODE", path, err)
	}
	return f, nil
}

func readBounded(path string) ([]byte, error) {
	return regular.Read(path, maxFile)
}

func parseFile(text []byte) (File, error) {
	var f File
	if err := decodeStrict(text, &f); err != nil {
		return File{}, err
	}
	if f.Version != 1 {
		return File{}, fmt.Errorf("version %d: want 1", f.Version)
	}
	if _, err := parseNodeID(string(f.Node)); err != nil {
		return File{}, err
	}
	for key, revision := range f.Held {
		if revision <= 0 {
			return File{}, fmt.Errorf("key %q has revision %d: want one above 0", key, revision)
		}
	}
	return f.clone(), nil
}

// Save replaces the node's file and returns after it is on the disk.
func (d Directory) Save(f File) error {
	path := filepath.Join(string(d), fileName)
	if err := writeSynced(path+".new", encode(f)); err != nil {
		return fmt.Errorf("write the node's file %q: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("replace the node's file %q: %w", path, err)
	}
	return syncPath(string(d))
}

func writeSynced(path string, text []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
