package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"berth/engine/edit"
	"berth/internal/config"
	"berth/internal/regular"
)

// record describes the installation for an engine: CONFIG/installed/ENGINE/record.json.
type record struct {
	Engine  string         `json:"engine"`
	Restart string         `json:"restart,omitempty"`
	Flags   Flags          `json:"flags,omitzero"`    // requested flags
	CNIDir  string         `json:"cni_dir,omitempty"` // of a file of CNI for each network
	Files   []recordedFile `json:"files"`
	Dirs    []string       `json:"dirs,omitempty"`   // that the installation created, each after its parent
	Retired time.Time      `json:"retired,omitzero"` // uninstalled then; the files stay while the engine uses them
}

// recordedFile is one written file.
type recordedFile struct {
	Path    string        `json:"path"`
	Sum     string        `json:"sum"`               // of the written content
	Format  edit.Format   `json:"format,omitempty"`  // "" if the whole file is berth's
	Changes []edit.Change `json:"changes,omitempty"` // in their order
	Backup  string        `json:"backup,omitempty"`  // name of the original's copy; "" if there was none
	Link    bool          `json:"link,omitempty"`    // whether the original was a symbolic link
	Shared  bool          `json:"shared,omitempty"`  // whether the backup predates another engine's installation
	Mode    fs.FileMode   `json:"mode,omitempty"`

	before *Content // content of the backup
}

const recordName = "record.json"

func installedDir(home string) string { return filepath.Join(home, "installed") }

func recordDir(home, engine string) string { return filepath.Join(installedDir(home), engine) }

// Installed returns the engines with an installation, sorted.
func Installed(home string) ([]string, error) {
	records, err := readRecords(home)
	var names []string
	for _, r := range records {
		if r.Retired.IsZero() {
			names = append(names, r.Engine)
		}
	}
	return names, err
}

// Backups returns the directory of an engine's original files.
func (p *Plan) Backups() string { return recordDir(p.home, p.Engine) }

// readRecords reads the records of all engines. If one cannot be read, it returns an error:
// otherwise a part of another engine could be taken for this one's.
func readRecords(home string) (all []*record, err error) {
	for _, name := range slices.Sorted(slices.Values(Engines())) {
		dir := recordDir(home, name)
		path := filepath.Join(dir, recordName)
		data, err := regular.Read(path, maxFile)
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
			return nil, fmt.Errorf("read the record of the installation for %s: %w", name, err)
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
		data, err := regular.Read(filepath.Join(dir, filepath.Base(f.Backup)), maxFile)
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

func otherRecords(all []*record, engine string) []*record {
	return slices.DeleteFunc(slices.Clone(all), func(r *record) bool { return r.Engine == engine })
}

// writeRecord stores the files that a plan has written, with the original ones.
func writeRecord(p *Plan) error {
	dir := recordDir(p.home, p.Engine)
	r := record{Engine: p.Engine, Restart: p.Restart, Flags: p.flags, CNIDir: p.cniDir, Dirs: p.dirs}
	if err := config.MakeDirs(dir); err != nil {
		return err
	}
	for _, f := range p.Files {
		if !f.ours {
			continue
		}
		one := recordedFile{Path: f.Path, Sum: f.After.sum(), Format: f.Format, Changes: f.Changes, Shared: f.shared}
		if before := f.originalToKeep(); before != nil {
			one.Backup = strconv.Itoa(len(r.Files)) + "-" + filepath.Base(f.Path)
			one.Link, one.Mode = before.Link, before.Mode
			if err := writeFile(filepath.Join(dir, one.Backup), &Content{Text: before.Text, Mode: 0o600}); err != nil {
				return err
			}
		}
		r.Files = append(r.Files, one)
	}
	return r.writeTo(dir)
}

func (r *record) writeTo(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, recordName), &Content{Text: string(data) + "\n", Mode: 0o644})
}

// retire notes the time of an uninstallation that leaves files.
func (p *Plan) retire(mine *record) {
	if p.retired = mine.Retired; p.retired.IsZero() {
		p.retired = time.Now().UTC()
	}
}

// retireRecord keeps a record of the files that stay, to be removed later.
func (p *Plan) retireRecord() error {
	r := record{Engine: p.Engine, Flags: p.flags, Files: p.kept, Dirs: p.dirs, Retired: p.retired}
	return r.writeTo(recordDir(p.home, p.Engine))
}
