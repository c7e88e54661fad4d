package install

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/config"
	"berth/internal/engineversion"
)

type files = map[string]string

// host is a directory tree that stands for a machine's file system.
type host struct {
	*testing.T
	root     string
	versions map[string]string
}

func newHost(t *testing.T, programs string, conf files) *host {
	t.Helper()
	h := &host{t, t.TempDir(), make(map[string]string)}
	for _, program := range append(strings.Fields(programs), "berth-hook", "berth-hook-client", "berth-runtime", "berth-nri", "berth-cni", "berth-netavark") {
		name, version, _ := strings.Cut(program, "=")
		h.versions[name] = version
		h.write("/usr/bin/"+name, "", 0o755)
	}
	for path, name := range conf {
		text, err := os.ReadFile(filepath.Join("testdata/conf", name))
		if err != nil {
			t.Fatal(err)
		}
		h.write(path, string(text), 0o640)
	}
	return h
}

func (h *host) write(path, text string, mode fs.FileMode) {
	h.Helper()
	path = filepath.Join(h.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		h.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		h.Fatal(err)
	}
}

func (h *host) options(engine string, o Options) Options {
	o.Engine, o.Root, o.Bin, o.Path = engine, h.root, h.root+"/usr/bin", []string{h.root + "/usr/bin"}
	o.Dirs = config.Dirs{Config: config.DefaultConfig, State: config.DefaultState, BPFFS: config.DefaultBPFFS}
	for _, path := range []*string{&o.File, &o.HooksDir, &o.CDIDir} {
		if *path != "" {
			*path = h.root + *path
		}
	}
	o.Version = func(program string) (engineversion.Version, error) {
		return engineversion.Parse(filepath.Base(program) + " version " + h.versions[filepath.Base(program)])
	}
	return o
}

// fileTree returns all files with mode and text, except berth's own.
func (h *host) fileTree() map[string]string {
	h.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(h.root, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, h.root)
		if err != nil || d.IsDir() || strings.HasPrefix(name, "/etc/berth/installed") {
			return err
		}
		c, err := readFile(path, false)
		if err == nil {
			all[name] = fmt.Sprint(c.Mode, c.Link, "\n", c.Text)
		}
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return all
}

func (h *host) install(o Options) *Plan {
	h.Helper()
	p, err := Install(o)
	if err != nil {
		h.Fatal(err)
	}
	if err := p.Apply(); err != nil {
		h.Fatal(err)
	}
	return p
}

func (h *host) uninstall(o Options) *Plan {
	h.Helper()
	p, err := Uninstall(o)
	if err != nil {
		h.Fatal(err)
	}
	if err := p.Remove(); err != nil {
		h.Fatal(err)
	}
	return p
}

// showPlan returns a plan as a person sees it, with a host's paths.
func (h *host) showPlan(p *Plan) string {
	var b strings.Builder
	for _, f := range p.Changed() {
		b.WriteString(f.Diff())
	}
	for _, note := range p.Notes {
		fmt.Fprintln(&b, "note:", note)
	}
	if advice := p.Advice(); advice != "" {
		fmt.Fprintln(&b, "then:", strings.TrimPrefix(advice, "to apply it, run: "))
	}
	return strings.ReplaceAll(b.String(), h.root, "")
}
