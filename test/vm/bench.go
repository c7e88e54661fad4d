package main

import (
	"context"

	"berth/test/machine/plan"
)

// benchTools are the programs of this machine that the bench runs, in addition to
// those of tests and a static busybox.
var benchTools = []string{"cp", "iperf3"}

// addBench adds test/bench and berth's programs to the image.
func (img *image) addBench(ctx context.Context, dir string, args []string) error {
	if err := img.addPrograms(ctx, dir, "test/bench", "cmd/berth", "cmd/berth-hook", "cmd/berthd"); err != nil {
		return err
	}
	img.plan.Tests = append(img.plan.Tests, plan.Test{
		Package: "berth/test/bench", Dir: "/root",
		Args: append([]string{"/berth/bench", "-bin", "/berth"}, args...),
	})
	return img.tree.addTools(ctx, benchTools)
}
