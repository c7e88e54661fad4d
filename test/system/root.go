package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"berth/test/machine"
)

// units are the machine's own units. A unit that a target wants names that target in
// its section [Install].
//
//go:embed units
var units embed.FS

// makeRoot makes the image of a machine's root file system, and returns the files to
// boot it.
func makeRoot(ctx context.Context, suite, image string) (*machine.BootFiles, error) {
	t, err := machine.Debian(ctx, suite)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	note("making an image of " + suite)
	if err := machine.MakeImage(ctx, t.Dir, image, "3G"); err != nil {
		return nil, err
	}
	if err := addUnits(ctx, image); err != nil {
		return nil, err
	}
	return machine.CopyBootFiles(ctx, t, filepath.Dir(image))
}

// addUnits writes the units into an image, enabled.
func addUnits(ctx context.Context, image string) error {
	dir, err := os.MkdirTemp(filepath.Dir(image), "units-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	names, err := units.ReadDir("units")
	if err != nil {
		return err
	}
	var commands strings.Builder
	const etc = "/etc/systemd/system/"
	for _, entry := range names {
		text, err := units.ReadFile("units/" + entry.Name())
		if err != nil {
			return err
		}
		file := filepath.Join(dir, entry.Name())
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		_, target, _ := strings.Cut(string(text), "WantedBy=")
		wants := etc + strings.TrimSpace(target) + ".wants"
		fmt.Fprintf(&commands, "write %s %s%s\nmkdir %s\nsymlink %s/%s %s%s\n",
			file, etc, entry.Name(), wants, wants, entry.Name(), etc, entry.Name())
	}
	return machine.ChangeImage(ctx, image, commands.String())
}
