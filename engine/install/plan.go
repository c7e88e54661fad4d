package install

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"berth/engine/edit"
)

// Plan lists the changes of an installation or uninstallation.
type Plan struct {
	home    string
	flags   Flags
	Engine  string
	Files   []*File
	Notes   []string // for the user
	Restart string   // the command after which the engine uses the changes; "" if none is needed
	Exempt  string   // the part that works without Restart; "" if there is none

	retired time.Time      // when the runtime was removed from an engine that still uses it; zero if it does not
	kept    []recordedFile // files that stay for it
	dirs    []string       // directories that the installation creates, or created
	cniDir  string         // directory of the files of CNI; "" if none are written
}

// Changed returns the files to write.
func (p *Plan) Changed() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return !f.Changed() })
}

// Advice returns the sentence with the command after which the engine uses the changes, or "" if no
// command is needed.
func (p *Plan) Advice() string {
	switch {
	case p.Restart == "":
		return ""
	case p.Exempt == "":
		return "to apply it, run: " + p.Restart
	}
	return "to apply it, run: " + p.Restart + "; " + p.Exempt + " work without that"
}

// planner collects a plan. It reads files without the changes of an earlier installation
// for the same engine.
type planner struct {
	o       *Options
	records []*record // of all engines
	plan    *Plan
}

// Install plans the installation for an engine. It first reverts, in memory, the changes of
// an earlier installation for it.
func Install(o Options) (*Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	e, _ := findEngine(o.Engine)
	p, err := newPlanner(&o)
	if err != nil {
		return nil, err
	}
	if e.program != "" && o.lookPath(e.program) == "" {
		p.addNote("%s is not on PATH, so the configuration is for a recent version", e.program)
	}
	if err := e.plan(p); err != nil {
		return nil, fmt.Errorf("install for %s: %w", o.Engine, err)
	}
	p.keepPrograms()
	if e.asRoot {
		if err := p.allowStatic(); err != nil {
			return nil, fmt.Errorf("install for %s: %w", o.Engine, err)
		}
	}
	p.plan.dirs = collectDirs(p.plan.Files, p.records)
	return p.plan, nil
}

// Repeat plans a repetition of an engine's installation: it has no changes if all files are
// as they were written. Its error wraps [ErrNotInstalled] if there is none.
func Repeat(o Options) (*Plan, error) {
	records, err := readRecords(o.configHome())
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

// Command returns the command line of an installation.
func (p *Plan) Command() string {
	words := []string{"berth", "install", "--engine", p.Engine}
	for _, f := range []struct{ flag, value string }{{engineConfig, p.flags.File}, {hooksDir, p.flags.HooksDir},
		{cdiDir, p.flags.CDIDir}} {
		if f.value != "" {
			words = append(words, f.flag, ShellWord(f.value))
		}
	}
	if p.flags.Default {
		words = append(words, defaultRuntime)
	}
	return strings.Join(words, " ")
}

// ErrNotInstalled is returned for an engine without a record.
var ErrNotInstalled = errors.New("nothing is installed")

// Uninstall plans the removal of an engine's installation. Its error wraps
// [ErrNotInstalled] if there is none.
func Uninstall(o Options) (*Plan, error) {
	e, err := findEngine(o.Engine)
	if err != nil {
		return nil, err
	}
	p, err := newPlanner(&o)
	if err != nil {
		return nil, err
	}
	mine := recordOf(p.records, e.name)
	if mine == nil {
		return nil, fmt.Errorf("uninstall for %s: %w: there is no record in %s", e.name, ErrNotInstalled,
			recordDir(o.configHome(), e.name))
	}
	p.o.Flags, p.plan.flags = mine.Flags, mine.Flags
	p.plan.Restart, p.plan.dirs = mine.Restart, mine.Dirs
	for _, f := range p.plan.Files {
		f.After = f.Base
	}
	if err := p.leaveEngine(mine); err != nil {
		return nil, fmt.Errorf("uninstall for %s: %w", e.name, err)
	}
	p.keepNamed(mine)
	return p.plan, nil
}

// leaveEngine completes the plan of an uninstallation with the part that depends on the engine.
func (p *planner) leaveEngine(mine *record) error {
	if mine.Engine == Docker {
		return p.retireDocker(mine)
	}
	leave := map[string]func() error{Podman: p.leavePodman, Containerd: p.leaveContainerd, CRIO: p.leaveCRIO}[mine.Engine]
	if leave == nil {
		return nil
	}
	if err := p.refuseUsed(mine); err != nil {
		return err
	}
	return leave()
}

func newPlanner(o *Options) (*planner, error) {
	records, err := readRecords(o.configHome())
	if err != nil {
		return nil, err
	}
	p := &planner{o: o, records: records, plan: &Plan{home: o.configHome(), flags: o.Flags, Engine: o.Engine}}
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
		base, left := takeOut(r, disk, otherRecords(records, o.Engine))
		if left != nil {
			p.addNote("%s: %v; it is left", r.Path, left)
		}
		p.plan.Files = append(p.plan.Files, &File{Path: r.Path, Disk: disk, Base: base, After: base, Format: r.Format,
			created: r.Format != "" && r.before == nil})
	}
	return p, nil
}

func (p *planner) addNote(format string, args ...any) {
	p.plan.Notes = append(p.plan.Notes, fmt.Sprintf(format, args...))
}

// planFile returns the plan of a path. The path of a configuration file may be a link to it.
func (p *planner) planFile(path string, following bool) (*File, error) {
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

// readPlanned returns a configuration file as planned, and false if there is none.
func (p *planner) readPlanned(path string) (string, bool, error) {
	f, err := p.planFile(path, true)
	if err != nil || f.After == nil {
		return "", false, err
	}
	return f.After.Text, true, nil
}

// decodePlanned returns the values of a configuration file, or none if there is no file.
func (p *planner) decodePlanned(path string, format edit.Format) (map[string]any, error) {
	text, _, err := p.readPlanned(path)
	if err != nil {
		return nil, err
	}
	values, err := format.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

// setValue sets a value of a configuration file, and creates the file if necessary.
func (p *planner) setValue(path string, format edit.Format, key []string, value any) error {
	f, err := p.planFile(path, true)
	if err != nil {
		return err
	}
	text, changes, err := format.Set(f.After.text(), key, value)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if len(changes) == 0 {
		changes = p.adoptChanges(f, key)
	}
	if len(changes) == 0 {
		return nil // the user has set it, so it stays
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

// writeWhole plans a file that belongs to berth whole.
func (p *planner) writeWhole(path, text string, mode fs.FileMode) error {
	return p.putContent(path, &Content{Text: text, Mode: mode})
}

// planLink plans a symbolic link.
func (p *planner) planLink(path, target string) error {
	return p.putContent(path, &Content{Text: target, Link: true})
}

func (p *planner) putContent(path string, c *Content) error {
	f, err := p.planFile(path, false)
	if err != nil {
		return err
	}
	for _, other := range mentionsOf(otherRecords(p.records, p.o.Engine), path) {
		if other.Format == "" {
			f.shared, f.before = true, other.before
		}
	}
	f.After, f.ours = c, true
	return nil
}

// adoptChanges returns the changes by which another engine's installation has set a value, so that
// the last of the two to be removed reverts it.
func (p *planner) adoptChanges(f *File, key []string) (changes []edit.Change) {
	for _, other := range mentionsOf(otherRecords(p.records, p.o.Engine), f.Path) {
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
