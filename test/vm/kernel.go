package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"berth/test/command"
)

// kernel is an unpacked package of a kernel.
type kernel struct {
	Series  string // "6.12"
	Release string // as uname -r prints it
	Image   string // path of the bzImage
	Modules string // directory of the modules
	Words   string // more words of its command line
}

// kernels is a directory of unpacked kernel packages that all runs share.
type kernels struct {
	dir string
}

// newestOf returns the newest kernel of a series. It is downloaded if apt offers one that
// the directory lacks; if apt offers none, it is the newest of the directory.
// SERIES@SUITE is a series of another suite of Debian, @SUITE that suite's newest
// kernel. What follows a plus sign is a word of the kernel's command line.
func (k kernels) newestOf(ctx context.Context, name string) (*kernel, error) {
	series, words := splitWords(name)
	kern, err := k.findNewest(ctx, series)
	if err == nil {
		kern.Words = words
	}
	return kern, err
}

// splitWords splits SERIES+WORD+WORD into the series and the words.
func splitWords(name string) (series, words string) {
	series, words, _ = strings.Cut(name, "+")
	return series, strings.ReplaceAll(words, "+", " ")
}

// findNewest is newestOf without words.
func (k kernels) findNewest(ctx context.Context, series string) (*kernel, error) {
	unlock, err := k.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if series, suite, ok := strings.Cut(series, "@"); ok {
		return k.fromSuite(ctx, series, suite)
	}
	offered, aptErr := k.fetch(ctx, series)
	if aptErr == nil {
		return k.open(series, offered)
	}
	kept, err := filepath.Glob(filepath.Join(k.dir, "linux-image-*"))
	if err != nil {
		return nil, err
	}
	for i := range kept {
		kept[i] = filepath.Base(kept[i])
	}
	if name := newest(series, kept); name != "" {
		fmt.Fprintf(os.Stderr, "vm: %v; using %s from the cache\n", aptErr, name)
		return k.open(series, name)
	}
	return nil, aptErr
}

// lock keeps other runs from downloading at the same time.
func (k kernels) lock() (unlock func(), err error) {
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(k.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { _ = f.Close() }, nil // closing the file unlocks it
}

// fetch downloads the newest kernel that apt offers unless the directory has it, and
// returns its name. If the package lists are outdated, it updates them once.
func (k kernels) fetch(ctx context.Context, series string) (string, error) {
	name, err := k.fetchListed(ctx, series)
	if err == nil {
		return name, nil
	}
	if updateErr := aptUpdate(ctx); updateErr != nil {
		return "", errors.Join(err, updateErr)
	}
	return k.fetchListed(ctx, series)
}

func (k kernels) fetchListed(ctx context.Context, series string) (string, error) {
	out, err := command.Output(ctx, "", "apt-cache", "search", "--names-only",
		"^linux-image-"+regexp.QuoteMeta(series)+`\.`)
	if err != nil {
		return "", err
	}
	var names []string
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	name := newest(series, names)
	if name == "" {
		return "", fmt.Errorf("apt offers no package linux-image-%s.*-cloud-amd64", series)
	}
	if _, err := os.Stat(filepath.Join(k.dir, name)); err == nil {
		return name, nil
	}
	return name, k.download(ctx, name)
}

// download unpacks a package beside the directory, and renames it there when it is
// complete.
func (k kernels) download(ctx context.Context, name string) error {
	tmp, err := os.MkdirTemp(k.dir, "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	fmt.Fprintf(os.Stderr, "vm: downloading %s\n", name)
	if _, err := command.Output(ctx, tmp, "apt-get", "-q", "-o", "APT::Sandbox::User=", "download", name); err != nil {
		return err
	}
	return k.unpack(ctx, tmp, name)
}

// unpack unpacks a downloaded package, or the packages it is split into.
func (k kernels) unpack(ctx context.Context, tmp, name string) error {
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) == 0 {
		return fmt.Errorf("download %s: apt downloaded no package: %w", name, err)
	}
	root := filepath.Join(tmp, "root")
	for _, deb := range debs {
		if _, err := command.Output(ctx, "", "dpkg-deb", "-x", deb, root); err != nil {
			return err
		}
	}
	return os.Rename(root, filepath.Join(k.dir, name))
}

func (k kernels) open(series, name string) (*kernel, error) {
	root := filepath.Join(k.dir, name)
	release := strings.TrimPrefix(name, "linux-image-")
	kern := &kernel{
		Series: series, Release: release,
		Image:   filepath.Join(root, "boot", "vmlinuz-"+release),
		Modules: filepath.Join(root, "lib", "modules", release),
	}
	merged := filepath.Join(root, "usr", "lib", "modules", release) // since Debian 14
	if _, err := os.Stat(merged); err == nil {
		kern.Modules, kern.Image = merged, filepath.Join(merged, "vmlinuz")
	}
	if _, err := os.Stat(kern.Image); err != nil {
		return nil, fmt.Errorf("kernel package %s: %w", name, err)
	}
	return kern, nil
}

// newest returns the package of a series with the highest version, or "" if there
// is none. An empty series matches every series. names may include other packages.
func newest(series string, names []string) string {
	if series != "" {
		series += "."
	}
	wanted := regexp.MustCompile(`^linux-image-` + regexp.QuoteMeta(series) + `\d[^/]*-cloud-amd64$`)
	best := ""
	for _, name := range names {
		if wanted.MatchString(name) && (best == "" || slices.Compare(numbers(name), numbers(best)) > 0) {
			best = name
		}
	}
	return best
}

var digits = regexp.MustCompile(`\d+`)

// numbers returns the numbers in a package's name, which order versions.
func numbers(name string) []int {
	var all []int
	for _, text := range digits.FindAllString(name, -1) {
		n, _ := strconv.Atoi(text) // out of range: the largest int, which Atoi returns too
		all = append(all, n)
	}
	return all
}

// aptUpdate updates the package lists. apt fails if another update runs, so all of
// berth's scripts wait for one lock.
func aptUpdate(ctx context.Context) error {
	_, err := command.Output(ctx, "", "flock", "/var/lock/berth-deps", "apt-get", "-q", "update")
	return err
}
