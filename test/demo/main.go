// Command demo is a guided tour of berth: the commands of a user and their results, on a
// host with two container engines that is made of network namespaces.
//
// It runs in an isolated space of its own (see package lab), changes nothing on the
// machine that it runs on, and removes everything at the end and after an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/lab"
)

func main() {
	bin := flag.String("bin", "bin", "directory of berth's programs")
	page := flag.String("page", "", "instead of the tour, show a LAN on the page of berth-web, at this `address`")
	flag.Parse()
	show := demo
	if *page != "" {
		show = showPage
		if err := openSocket(*page); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
			os.Exit(1)
		}
	}
	lab.Isolate()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	err := show(ctx, *bin)
	stop()
	switch {
	case errors.Is(err, context.Canceled):
		os.Exit(128 + int(unix.SIGINT))
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, bin string) error {
	begin := time.Now()
	s, err := newStage(bin)
	if err != nil {
		return err
	}
	g := newGuide(ctx, os.Stdout)
	g.print("berth gives containers their own addresses on the LAN, and shows their traffic there.")
	g.print("The tour runs in network namespaces; your own network is not changed.")
	failed := g.play(s.tour())
	if failed != nil {
		g.print("\nThe tour stops here; removing everything.")
	}
	// The removal must also run after an interrupt.
	g.ctx = context.Background()
	if err := errors.Join(g.play(s.takeDown(failed != nil)), s.nothingLeft()); err != nil {
		return errors.Join(failed, fmt.Errorf("take all down: %w", err))
	}
	g.print(fmt.Sprintf("\nNothing is left. The tour took %.0f seconds.", time.Since(begin).Seconds()))
	if failed == nil {
		g.print("On this machine: install bin/* /usr/local/bin, berth network create, berth check,\nberth install " +
			"--engine podman (or docker, containerd, …). See README.md.")
	}
	return failed
}
