package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"berth/test/tree"
)

// A treeBuilder makes the trees of the selected engines one after another, in the order of their
// tests, while the programs are built and other engines are tested.
type treeBuilder struct {
	trees  []*treeBuild
	cancel context.CancelFunc
}

// A treeBuild is the build of the tree that engines of one suite with the same packages have.
// tree and err may be read once done is closed.
type treeBuild struct {
	suite    string
	packages []string
	done     chan struct{}
	tree     *tree.Tree
	err      error
}

// startTrees starts to make the trees.
func startTrees(ctx context.Context, o *options) *treeBuilder {
	ctx, cancel := context.WithCancel(ctx)
	t := &treeBuilder{cancel: cancel}
	for _, suite := range o.suites {
		for _, e := range engines {
			if o.wants(e, suite) && t.buildOf(e, suite) == nil {
				t.trees = append(t.trees, &treeBuild{suite: suite, packages: e.packages, done: make(chan struct{})})
			}
		}
	}
	go func() {
		for _, b := range t.trees {
			b.make(ctx)
			close(b.done)
		}
	}()
	return t
}

func (b *treeBuild) make(ctx context.Context) {
	start := time.Now()
	b.tree, b.err = tree.Build(ctx, b.suite, slices.Concat(packages, b.packages)...)
	if b.err == nil {
		fmt.Printf("engines: the tree of %s took %.0f s\n", strings.Join(append([]string{b.suite}, b.packages...), " "),
			time.Since(start).Seconds())
	}
}

// buildOf returns the build of the tree that an engine has in a suite, or nil.
func (t *treeBuilder) buildOf(e engine, suite string) *treeBuild {
	for _, b := range t.trees {
		if b.suite == suite && slices.Equal(b.packages, e.packages) {
			return b
		}
	}
	return nil
}

// wait waits for the tree of an engine.
func (t *treeBuilder) wait(e engine, suite string) (*tree.Tree, error) {
	b := t.buildOf(e, suite)
	<-b.done
	return b.tree, b.err
}

// Close ends the builds, waits for their end, and releases the trees.
func (t *treeBuilder) Close() {
	t.cancel()
	for _, b := range t.trees {
		if <-b.done; b.tree != nil {
			_ = b.tree.Close()
		}
	}
}
