package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"berth/engine/edit"
)

// record is what was installed for an engine: CONFIG/installed/ENGINE/record.json.
type record struct {
	Engine  string         `json:"engine"`
	Restart string         `json:"restart,omitempty"`
	Flags   Flags          `json:"flags,omitzero"` // what was asked for
	Files   []recordedFile `json:"files"`
	Retired time.Time      `json:"retired,omitzero"` // uninstalled then; the files stay until the engine uses them no more
}

// recordedFile is one file that was written.
type recordedFile struct {
	Path    string        `json:"path"`
	Sum     string        `json:"sum"`               // of what was written
	Format  edit.Format   `json:"format,omitempty"`  // "": the whole file is berth's
	Changes []edit.Change `json:"changes,omitempty"` // in their order
	Backup  string        `json:"backup,omitempty"`  // file beside the record with what was there; "": there was none
	Link    bool          `json:"link,omitempty"`    // that was a symbolic link
	Shared  bool          `json:"shared,omitempty"`  // the backup is of before another engine's installation
	Mode    fs.FileMode   `json:"mode,omitempty"`

	before *Content // what the backup has
}

const recordName = "record.json"

func installedDir(config string) string { return filepath.Join(config, "installed") }

func recordDir(config, engine string) string { return filepath.Join(installedDir(config), engine) }

// Installed are the engines that berth was installed for, sorted.
func Installed(config string) ([]string, error) {
	records, err := readRecords(config)
	var names []string
	for _, r := range records {
		if r.Retired.IsZero() {
			names = append(names, r.Engine)
		}
	}
	return names, err
}

// Backups is where the files of an engine are kept as they were.
func (p *Plan) Backups() string { return recordDir(p.home, p.Engine) }

// readRecords reads the records of all engines. One that cannot be read is an
// error: without it, a part of another engine could be taken for ours.
func readRecords(config string) (all []*record, err error) {
	for _, name := range slices.Sorted(slices.Values(Engines())) {
		dir := recordDir(config, name)
		path := filepath.Join(dir, recordName)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		r := new(record)
		if err == nil {
			if err = json.Unmarshal(data, r); err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
		}
		if err == nil {
			err = r.readBackups(dir)
		}
		if err != nil {
			return nil, fmt.Errorf("record of what was installed for %s: %w", name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func (r *record) readBackups(dir string) error {
	for i := range r.Files {
		f := &r.Files[i]
		if f.Backup == "" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, filepath.Base(f.Backup)))
		if err != nil {
			return err
		}
		f.before = &Content{Text: string(data), Link: f.Link, Mode: f.Mode}
	}
	return nil
}

func recordOf(all []*record, engine string) *record {
	for _, r := range all {
		if r.Engine == engine {
			return r
		}
	}
	return nil
}

func others(all []*record, engine string) []*record {
	return slices.DeleteFunc(slices.Clone(all), func(r *record) bool { return r.Engine == engine })
}

// writeRecord keeps what a plan has written, with the files as they were.
func writeRecord(p *Plan) error {
	dir := recordDir(p.home, p.Engine)
	r := record{Engine: p.Engine, Restart: p.Restart, Flags: p.flags}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range p.Files {
		if !f.ours {
			continue
		}
		one := recordedFile{Path: f.Path, Sum: f.After.sum(), Format: f.Format, Changes: f.Changes, Shared: f.shared}
		if before := f.backup(); before != nil {
			one.Backup = strconv.Itoa(len(r.Files)) + "-" + filepath.Base(f.Path)
			one.Link, one.Mode = before.Link, before.Mode
			if err := writeFile(filepath.Join(dir, one.Backup), &Content{Text: before.Text, Mode: 0o600}); err != nil {
				return err
			}
		}
		r.Files = append(r.Files, one)
	}
	return r.write(dir)
}

func (r *record) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, recordName), &Content{Text: string(data) + "\n", Mode: 0o644})
}

// retire leaves a record of the files that stay, to be taken away later.
func (p *Plan) retire() error {
	r := record{Engine: p.Engine, Flags: p.flags, Files: p.kept, Retired: p.retired}
	return r.write(recordDir(p.home, p.Engine))
}
