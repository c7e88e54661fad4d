// Command run builds a bare Debian tree and runs a command in it: see package
// tree.
//
//	go run ./test/tree/run -suite trixie -packages podman,crun -go -source -- make build
//
// Without a command it runs a shell. Its exit status is the command's, or 125
// if the tree could not be built.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"berth/test/tree"
)

// options are the options of the command line.
type options struct {
	suite    string
	packages string
	source   bool
	withGo   bool
	sandbox  tree.Sandbox
}

func main() {
	tree.Enter()
	o := parseOptions()
	code, err := runInTree(context.Background(), o, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "tree:", err)
		code = 125
	}
	os.Exit(code)
}

func parseOptions() *options {
	o := new(options)
	flag.StringVar(&o.suite, "suite", "bookworm", "Debian's `suite`")
	flag.StringVar(&o.packages, "packages", "", "packages beside minbase, a comma `list`")
	flag.BoolVar(&o.source, "source", false, "put a clone of this repository at /root/berth, and start there")
	flag.BoolVar(&o.withGo, "go", false, "mount this machine's Go and its module cache")
	flag.BoolVar(&o.sandbox.OwnNet, "own-net", false, "a network namespace with only lo")
	flag.Func("bind", "`SOURCE:TARGET[:ro]` of this machine in the tree; may be repeated", func(text string) error {
		parts := strings.Split(text, ":")
		if len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && parts[2] != "ro" {
			return fmt.Errorf("want SOURCE:TARGET or SOURCE:TARGET:ro")
		}
		source, err := filepath.Abs(parts[0])
		o.sandbox.Binds = append(o.sandbox.Binds, tree.Bind{Source: source, Target: parts[1], ReadOnly: len(parts) == 3})
		return err
	})
	flag.Func("plain", "`directory` outside the overlay; may be repeated", func(text string) error {
		o.sandbox.Plain = append(o.sandbox.Plain, text)
		return nil
	})
	flag.Func("env", "`NAME=VALUE` for the command; may be repeated", func(text string) error {
		o.sandbox.Env = append(o.sandbox.Env, text)
		return nil
	})
	flag.StringVar(&o.sandbox.Dir, "dir", "", "`directory` in which the command starts")
	flag.Parse()
	return o
}

func runInTree(ctx context.Context, o *options, command []string) (int, error) {
	var packages []string
	if o.packages != "" {
		packages = strings.Split(o.packages, ",")
	}
	t, err := tree.Build(ctx, o.suite, packages...)
	if err != nil {
		return 0, err
	}
	defer t.Close()
	s := t.In()
	given := o.sandbox
	s.Binds, s.Plain, s.Env, s.Dir, s.OwnNet = given.Binds, given.Plain, given.Env, given.Dir, given.OwnNet
	if o.source {
		s.Source = "."
		if s.Dir == "" {
			s.Dir = tree.SourceDir
		}
	}
	if o.withGo {
		if err := s.Go(ctx); err != nil {
			return 0, err
		}
	}
	if len(command) == 0 {
		command = []string{"bash"}
	}
	return s.Run(ctx, command...)
}
