package tree

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/command"
)

// layoutVersion is part of a tree's key, so that a change of the build makes a new
// tree.
const layoutVersion = "1"

// fresh is the age up to which a cached tree is used. An older tree is rebuilt,
// because the archive has newer packages.
const fresh = 14 * 24 * time.Hour

// A Tree is a Debian system in the cache.
type Tree struct {
	Suite    string
	Packages []string // in addition to minbase
	Dir      string
	held     *os.File // a lock that keeps Build from replacing the tree
}

// Close allows a later Build to replace the tree.
func (t *Tree) Close() error { return t.held.Close() }

// Build returns the tree of a suite with packages, from the cache if possible. It
// needs root, debootstrap and apt. Concurrent calls, also from other processes,
// build a tree once.
func Build(ctx context.Context, suite string, packages ...string) (*Tree, error) {
	packages = slices.Compact(slices.Sorted(slices.Values(packages)))
	t := &Tree{Suite: suite, Packages: packages, Dir: filepath.Join(Cache(), "trees", key(suite, packages))}
	if os.Geteuid() != 0 {
		return nil, errors.New("building a Debian tree requires root")
	}
	guard, err := lock(t.Dir+".build", unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	if !t.usable() {
		if err := t.build(ctx); err != nil {
			return nil, fmt.Errorf("build a tree of %q: %w", suite, err)
		}
	}
	t.held, err = lock(t.Dir+".use", unix.LOCK_SH)
	return t, err
}

func key(suite string, packages []string) string {
	if len(packages) == 0 {
		return suite + "-minbase-" + layoutVersion
	}
	sum := sha256.Sum256([]byte(layoutVersion + " " + strings.Join(packages, " ")))
	return fmt.Sprintf("%s-%x", suite, sum[:6])
}

// usable reports whether the cache has the tree, and whether it is fresh or in use.
func (t *Tree) usable() bool {
	info, err := os.Stat(t.Dir)
	if err != nil {
		return false
	}
	if time.Since(info.ModTime()) < fresh {
		return true
	}
	f, err := lock(t.Dir+".use", unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return true
	}
	defer f.Close()
	return os.RemoveAll(t.Dir) != nil
}

// build makes the tree beside its final path, and renames it when it is complete.
func (t *Tree) build(ctx context.Context) (err error) {
	dir, held, err := scratch()
	if err != nil {
		return err
	}
	defer held.Close()
	defer os.RemoveAll(dir)
	root := filepath.Join(dir, "tree")
	if len(t.Packages) == 0 {
		err = bootstrap(ctx, t.Suite, root, dir)
	} else {
		err = t.extend(ctx, root)
	}
	if err != nil {
		return err
	}
	now := time.Now() // the copy of a base has the base's time
	if err := os.Chtimes(root, now, now); err != nil {
		return err
	}
	return os.Rename(root, t.Dir)
}

// extend copies the tree without packages and installs them there.
func (t *Tree) extend(ctx context.Context, root string) error {
	base, err := Build(ctx, t.Suite)
	if err != nil {
		return err
	}
	defer base.Close()
	if err := command.Execute(ctx, nil, "cp", "-a", "--reflink=auto", base.Dir, root); err != nil {
		return err
	}
	note("installing %s in a tree of %s", strings.Join(t.Packages, " "), t.Suite)
	// No service starts during the build: invoke-rc.d(8).
	policy := filepath.Join(root, "usr/sbin/policy-rc.d")
	if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return err
	}
	if err := t.install(ctx, root); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(root, "var/cache/apt/archives")); err != nil {
		return err
	}
	return os.Remove(policy)
}

// install installs the packages in an unfinished tree.
func (t *Tree) install(ctx context.Context, root string) error {
	log, err := os.Create(root + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	s := &Sandbox{
		Env: []string{"DEBIAN_FRONTEND=noninteractive"}, Output: log,
		tree: &Tree{Suite: t.Suite, Dir: root}, inPlace: true,
	}
	const script = "apt-get -q update && exec apt-get -q -y --no-install-recommends install \"$@\""
	status, err := s.Run(ctx, slices.Concat([]string{"sh", "-c", script, "sh"}, t.Packages)...)
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d", status)
	}
	if err != nil {
		return fmt.Errorf("install %q: %w\n%s", t.Packages, err, lastLines(log.Name(), 20))
	}
	return nil
}

// bootstrap makes a minbase system in root that uses the archives of this machine.
// The keyring is written to the directory scratch.
func bootstrap(ctx context.Context, suite, root, scratch string) error {
	all, err := machineSources("/")
	if err != nil {
		return err
	}
	p, err := machineProxy(ctx)
	if err != nil {
		return err
	}
	main, _ := archives(all)
	if len(main) > 0 {
		if err := p.detect(ctx, main[0].uris[0]); err != nil {
			return err
		}
	}
	mirrors, err := findMirrors(ctx, p, all, suite, scratch)
	if err != nil {
		return err
	}
	m := mirrors[0]
	note("making a tree of %s from %s", suite, m.uri)
	args := []string{"--variant=minbase", "--keyring=" + m.keyring, suite, root, m.uri}
	if m.trusted {
		args[1] = "--no-check-gpg"
	}
	if script := "/usr/share/debootstrap/scripts/" + suite; !exists(script) {
		args = append(args, "/usr/share/debootstrap/scripts/sid") // newer than this debootstrap
	}
	if err := command.Execute(ctx, p.environment(), "debootstrap", args...); err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(filepath.Join(root, "debootstrap/debootstrap.log"), 10))
	}
	return configure(root, mirrors, p)
}

// configure writes the apt configuration of a tree.
func configure(root string, mirrors []mirror, p *proxy) error {
	var sources strings.Builder
	for _, m := range mirrors {
		sources.WriteString(m.line())
	}
	for name, text := range map[string]string{
		"etc/apt/sources.list":         sources.String(),
		"etc/apt/apt.conf.d/00machine": strings.Join(p.lines, "\n") + "\n",
		"etc/apt/apt.conf.d/01quick":   "Acquire::Languages \"none\";\n",
		"etc/dpkg/dpkg.cfg.d/00quick":  "force-unsafe-io\n",
		"etc/hostname":                 "debian\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	// debootstrap copies these from the machine; a run writes its own.
	for _, name := range []string{"etc/resolv.conf", "etc/hosts"} {
		if err := os.Remove(filepath.Join(root, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(root, "var/cache/apt/archives"))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func lastLines(name string, n int) string {
	text, _ := os.ReadFile(name) // it may not exist: then there is nothing to quote
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func note(format string, args ...any) { fmt.Fprintf(os.Stderr, "tree: "+format+"\n", args...) }
