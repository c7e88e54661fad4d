package install

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"berth/engine/edit"
)

// Plan is what an installation, or its end, is to write.
type Plan struct {
	home    string
	flags   Flags
	Engine  string
	Files   []*File
	Notes   []string // what a person should know
	Restart string   // the command by which the engine takes it up; "": none is needed

	retired time.Time      // when an engine was told to forget what it still uses; zero if it uses nothing
	kept    []recordedFile // files that stay for it
}

// Changed are the files that are to be written.
func (p *Plan) Changed() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return !f.Changed() })
}

// planner collects a plan. It sees files without what an earlier installation
// for the same engine has put there.
type planner struct {
	o       *Options
	records []*record // of all engines
	plan    *Plan
}

// Install plans what has to be written so that an engine knows berth. What an
// earlier installation for it has written is taken back first, in thought.
func Install(o Options) (*Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	e, _ := find(o.Engine)
	p, err := newPlanner(&o)
	if err != nil {
		return nil, err
	}
	if e.program != "" && o.lookPath(e.program) == "" {
		p.note("%s was not found on PATH; what is written is for a new one", e.program)
	}
	if err := e.plan(p); err != nil {
		return nil, fmt.Errorf("install for %s: %w", o.Engine, err)
	}
	if e.asRoot {
		if err := p.allowStatic(); err != nil {
			return nil, fmt.Errorf("install for %s: %w", o.Engine, err)
		}
	}
	return p.plan, nil
}

// Again plans what the installation for an engine that there is would write
// now: nothing, where all is as it was written. Its error wraps
// [ErrNotInstalled] where there is none.
func Again(o Options) (*Plan, error) {
	records, err := readRecords(o.home())
	if err != nil {
		return nil, err
	}
	mine := recordOf(records, o.Engine)
	if mine == nil || !mine.Retired.IsZero() {
		return nil, fmt.Errorf("%s: %w", o.Engine, ErrNotInstalled)
	}
	o.Flags = mine.Flags
	return Install(o)
}

// Command is the command line of an installation.
func (p *Plan) Command() string {
	words := []string{"berth", "install", "--engine", p.Engine}
	for _, f := range []struct{ flag, value string }{{engineConfig, p.flags.File}, {hooksDir, p.flags.HooksDir}, {cdiDir, p.flags.CDIDir}} {
		if f.value != "" {
			words = append(words, f.flag, f.value)
		}
	}
	if p.flags.Default {
		words = append(words, defaultRuntime)
	}
	return strings.Join(words, " ")
}

// ErrNotInstalled is of an engine that berth has no record of.
var ErrNotInstalled = errors.New("nothing is installed")

// Uninstall plans taking back what was installed for an engine. Its error wraps
// [ErrNotInstalled] where nothing was.
func Uninstall(o Options) (*Plan, error) {
	e, err := find(o.Engine)
	if err != nil {
		return nil, err
	}
	p, err := newPlanner(&o)
	if err != nil {
		return nil, err
	}
	mine := recordOf(p.records, e.name)
	if mine == nil {
		return nil, fmt.Errorf("uninstall for %s: %w: there is no record in %s", e.name, ErrNotInstalled, recordDir(o.home(), e.name))
	}
	p.plan.Restart = mine.Restart
	for _, f := range p.plan.Files {
		f.After = f.Base
	}
	if e.name == Docker {
		if err := p.retireDocker(mine); err != nil {
			return nil, fmt.Errorf("uninstall for %s: %w", e.name, err)
		}
	}
	return p.plan, nil
}

func newPlanner(o *Options) (*planner, error) {
	records, err := readRecords(o.home())
	if err != nil {
		return nil, err
	}
	p := &planner{o: o, records: records, plan: &Plan{home: o.home(), flags: o.Flags, Engine: o.Engine}}
	mine := recordOf(records, o.Engine)
	if mine == nil {
		return p, nil
	}
	for _, r := range mine.Files {
		disk, err := readFile(r.Path, r.Format != "")
		if err != nil {
			return nil, err
		}
		if _, err := r.Format.Decode(disk.text()); r.Format != "" && err != nil {
			return nil, fmt.Errorf("%s: %w", r.Path, err)
		}
		base, left := takeOut(r, disk, others(records, o.Engine))
		if left != nil {
			p.note("%s: %v; it is left", r.Path, left)
		}
		p.plan.Files = append(p.plan.Files, &File{Path: r.Path, Disk: disk, Base: base, After: base, Format: r.Format})
	}
	return p, nil
}

func (p *planner) note(format string, args ...any) {
	p.plan.Notes = append(p.plan.Notes, fmt.Sprintf(format, args...))
}

// file is a path with what is planned for it. The path of a configuration file
// may be a link to it.
func (p *planner) file(path string, following bool) (*File, error) {
	if following {
		path = realPath(path)
	}
	for _, f := range p.plan.Files {
		if f.Path == path {
			return f, nil
		}
	}
	disk, err := readFile(path, following)
	if err != nil {
		return nil, err
	}
	f := &File{Path: path, Disk: disk, Base: disk, After: disk}
	p.plan.Files = append(p.plan.Files, f)
	return f, nil
}

// read returns a configuration file as it is planned; false: there is none.
func (p *planner) read(path string) (string, bool, error) {
	f, err := p.file(path, true)
	if err != nil || f.After == nil {
		return "", false, err
	}
	return f.After.Text, true, nil
}

// decode returns the values of a configuration file, none where there is none.
func (p *planner) decode(path string, format edit.Format) (map[string]any, error) {
	text, _, err := p.read(path)
	if err != nil {
		return nil, err
	}
	values, err := format.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

// set sets a value of a configuration file, making the file where needed.
func (p *planner) set(path string, format edit.Format, key []string, value any) error {
	f, err := p.file(path, true)
	if err != nil {
		return err
	}
	text, changes, err := format.Set(f.After.text(), key, value)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if len(changes) == 0 {
		changes = p.adopt(f, key)
	}
	if len(changes) == 0 {
		return nil // somebody else has set it, so that it stays
	}
	f.Format, f.ours = format, true
	f.Changes = append(f.Changes, changes...)
	after := Content{Mode: 0o644}
	if f.After != nil {
		after = *f.After
	}
	after.Text = text
	f.After = &after
	return nil
}

// setDefault makes berth's handler the default that a key names, and tells of
// files that are read after this one and name another.
func (p *planner) setDefault(path string, key ...string) error {
	beside, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"+filepath.Ext(path))) // the pattern is well formed
	for _, later := range beside {
		if later <= path {
			continue
		}
		values, err := p.decode(later, edit.TOML)
		if err != nil {
			return err
		}
		if other, _ := text(values, key...); other != "" && other != handler {
			p.note("%s is read after %s, and makes %q the default: take that out of it", later, path, other)
		}
	}
	return p.set(path, edit.TOML, key, handler)
}

// write makes a whole file berth's.
func (p *planner) write(path, text string, mode fs.FileMode) error {
	return p.put(path, &Content{Text: text, Mode: mode})
}

// link makes a symbolic link.
func (p *planner) link(path, target string) error {
	return p.put(path, &Content{Text: target, Link: true})
}

func (p *planner) put(path string, c *Content) error {
	f, err := p.file(path, false)
	if err != nil {
		return err
	}
	for _, other := range mentions(others(p.records, p.o.Engine), path) {
		if other.Format == "" {
			f.shared, f.before = true, other.before
		}
	}
	f.After, f.ours = c, true
	return nil
}

// adopt returns the changes by which another engine's installation has set a
// value, so that whichever of the two goes last takes it back.
func (p *planner) adopt(f *File, key []string) (changes []edit.Change) {
	for _, other := range mentions(others(p.records, p.o.Engine), f.Path) {
		for _, c := range other.Changes {
			if len(c.Path) >= len(key) && slices.Equal(c.Path[:len(key)], key) {
				changes = append(changes, c)
			}
		}
		if len(changes) > 0 {
			f.shared, f.before = true, other.before
			return changes
		}
	}
	return nil
}
