package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"berth/test/command"
	"berth/test/machine"
)

// makePayload makes the image with two versions of the package and the guest program.
// packages, if not empty, is a directory that already has old.deb and new.deb.
func makePayload(ctx context.Context, dir, packages, image string) error {
	payload := filepath.Join(dir, "payload")
	if err := os.Mkdir(payload, 0o755); err != nil {
		return err
	}
	build := []string{"build", "-ldflags=-s -w", "-o", filepath.Join(payload, "guest"), "berth/test/system/guest"}
	if err := command.Go(ctx, ".", build...); err != nil {
		return err
	}
	if packages == "" {
		packages = dir
		note("building the package")
		if err := makePackages(ctx, dir); err != nil {
			return err
		}
	}
	for _, name := range []string{"old.deb", "new.deb"} {
		if err := command.Execute(ctx, nil, "cp", filepath.Join(packages, name), payload); err != nil {
			return err
		}
	}
	return machine.MakeImage(ctx, payload, image, "256M")
}

// makePackages makes new.deb by scripts/release.sh, and old.deb of the same programs
// with a lower version.
func makePackages(ctx context.Context, dir string) error {
	out := filepath.Join(dir, "release")
	if err := command.Execute(ctx, []string{"ARCHES=amd64", "FAST=1"}, "scripts/release.sh", out, "v0.0.2"); err != nil {
		return err
	}
	if err := command.Execute(ctx, nil, "tar", "-C", out, "-xzf",
		filepath.Join(out, "berth-v0.0.2-linux-amd64.tar.gz")); err != nil {
		return err
	}
	programs := filepath.Join(out, "berth-v0.0.2-linux-amd64")
	env := []string{"FAST=1", "SOURCE_DATE_EPOCH=0"}
	if err := command.Execute(ctx, env, "deploy/debian/build.sh", programs, "amd64", "v0.0.1", out); err != nil {
		return err
	}
	for from, to := range map[string]string{"berth_0.0.1_amd64.deb": "old.deb", "berth_0.0.2_amd64.deb": "new.deb"} {
		if err := os.Rename(filepath.Join(out, from), filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	return nil
}

func note(text string) { fmt.Fprintln(os.Stderr, "system:", text) }
