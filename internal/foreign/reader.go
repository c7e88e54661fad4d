package foreign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"berth/internal/regular"
)

// Places are the directories and files of other programs. One that is "" is not read.
type Places struct {
	Docker string // dockerd's data directory
	Podman string // podman's database of addresses (netavark)
	CNI    string // the directory of libcni's cache, and of the addresses of host-local

	Libvirt string // the directory of libvirt's files of running domains, one for each driver
}

// Usual returns the usual places, with docker's data directory.
func Usual(docker string) Places {
	return Places{Docker: docker, Podman: "/run/containers/networks/ipam.db", CNI: "/var/lib/cni", Libvirt: "/run/libvirt"}
}

// Reader reads holdings. It keeps those of a file until the file changes. It is for one
// goroutine.
type Reader struct {
	places Places
	kept   map[string]keptFile // as of the last call of ReadHoldings
	next   map[string]keptFile
}

// keptFile is the content of a file.
type keptFile struct {
	size     int64
	changed  time.Time
	holdings []Holding
}

// NewReader returns a reader of some places.
func NewReader(p Places) *Reader { return &Reader{places: p} }

// ReadHoldings returns all holdings. With an error it returns those that it could read.
func (r *Reader) ReadHoldings() ([]Holding, error) {
	r.next = make(map[string]keptFile, len(r.kept))
	var all []Holding
	var errs []error
	for _, read := range []func() ([]Holding, error){r.readDocker, r.readPodman, r.readCNI, r.readLibvirt} {
		some, err := read()
		all, errs = append(all, some...), append(errs, err)
	}
	r.kept, r.next = r.next, nil
	return all, errors.Join(errs...)
}

// maxFile bounds the bytes read of a file.
const maxFile = 4 << 20

// fresh is the age below which a file may be half written, and may change without a change of
// its time.
const fresh = 2 * time.Second

// readFile returns the holdings in a file, by the kept ones if it has not changed.
func (r *Reader) readFile(path string, parse func(path string) ([]Holding, error)) ([]Holding, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the networks of other programs: %w", err)
	}
	kept, has := r.kept[path]
	if !has || kept.size != info.Size() || !kept.changed.Equal(info.ModTime()) {
		holdings, err := parse(path)
		isFresh := time.Since(info.ModTime()) < fresh
		if errors.Is(err, fs.ErrNotExist) || err != nil && isFresh {
			return nil, nil // it was removed, or is read again
		}
		if err != nil {
			return nil, fmt.Errorf("read the networks of other programs: file %q: %w", path, err)
		}
		if isFresh {
			return holdings, nil
		}
		kept = keptFile{info.Size(), info.ModTime(), holdings}
	}
	r.next[path] = kept
	return kept.holdings, nil
}

// readFiles returns the holdings in the files that a pattern matches.
func (r *Reader) readFiles(pattern string, parse func(path string) ([]Holding, error)) (all []Holding, err error) {
	paths, err := filepath.Glob(pattern)
	errs := []error{err}
	for _, path := range paths {
		some, err := r.readFile(path, parse)
		all, errs = append(all, some...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

// readBounded returns the content of a file.
func readBounded(path string) ([]byte, error) {
	return regular.Read(path, maxFile)
}
