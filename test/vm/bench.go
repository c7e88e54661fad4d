package main

import (
	"context"
	"os/exec"
	"path/filepath"

	"berth/test/command"
	"berth/test/machine/plan"
)

// benchTools are the programs of this machine that the bench runs, in addition to
// those of tests and a static busybox.
var benchTools = []string{"cp", "iperf3"}

// addBench adds test/bench and berth's programs to the image.
func (img *image) addBench(ctx context.Context, dir string, args []string) error {
	tags := map[string]string{"cmd/berth-hook": "hook"}
	for _, name := range []string{"test/bench", "cmd/berth", "cmd/berth-hook", "cmd/berthd"} {
		binary := filepath.Join(dir, filepath.Base(name))
		err := command.Go(ctx, ".", "build", "-tags", tags[name], "-o", binary, "-ldflags=-s -w", "berth/"+name)
		if err != nil {
			return err
		}
		img.tree.program("berth/"+filepath.Base(name), binary)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	img.tree.program("bin/busybox", busybox)
	img.plan.Tests = append(img.plan.Tests, plan.Test{
		Package: "berth/test/bench", Dir: "/root",
		Args: append([]string{"/berth/bench", "-bin", "/berth"}, args...),
	})
	return img.tree.addTools(ctx, benchTools)
}
