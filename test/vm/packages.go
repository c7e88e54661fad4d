package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"berth/internal/testnet"
	"berth/test/command"
	"berth/test/results"
)

// elsewhere matches the names of live tests that need a container engine or a whole
// systemd, which the machines do not have, and of the one that kills processes sooner than
// an emulated machine starts them. The results of those tests do not depend on the kernel.
var elsewhere = regexp.MustCompile(`Containerd|^TestUnits|^TestKills$`)

// kernelFree matches packages whose tests do not depend on the kernel and take long in an
// emulated machine: models, and servers of etcd on loopback. The last two build and install
// programs, for which the machines have neither Go nor coreutils.
var kernelFree = regexp.MustCompile(`/internal/cluster(/|$)|/cmd/berth-hook$|/engine/resident$`)

// testPackage is a package whose tests run in the machines.
type testPackage struct {
	ImportPath string
	Dir        string
	Module     struct{ Path, Dir string }

	TestGoFiles, XTestGoFiles []string

	skipped []string // tests that another kernel skipped
	only    bool     // run only the tests in skipped
}

// live returns the names of the privileged tests that the machines can run.
func (p *testPackage) live() ([]string, error) {
	var names []string
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		if !strings.HasSuffix(name, "_live_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse tests of %s: %w", p.ImportPath, err)
		}
		names = append(names, testNames(f)...)
	}
	return slices.DeleteFunc(names, elsewhere.MatchString), nil
}

// place returns the package's directory relative to that of its module.
func (p *testPackage) place() (string, error) { return filepath.Rel(p.Module.Dir, p.Dir) }

// choosePackages returns the packages of the patterns, and those with tests that a
// file of results lists as skipped because the kernel lacked a feature.
func choosePackages(ctx context.Context, o *options) ([]*testPackage, error) {
	if o.skips == "" {
		return findPackages(ctx, o.patterns)
	}
	all, err := results.ReadFiles(o.skips)
	if err != nil {
		return nil, err
	}
	skipped := skippedTests(all)
	addTests(skipped, o.also)
	var chosen []*testPackage
	if len(o.patterns) > 0 {
		if chosen, err = findPackages(ctx, o.patterns); err != nil {
			return nil, err
		}
		for _, p := range chosen {
			p.skipped = skipped[p.ImportPath]
			delete(skipped, p.ImportPath)
		}
	}
	if len(skipped) == 0 {
		return chosen, nil
	}
	more, err := findPackages(ctx, slices.Sorted(maps.Keys(skipped)))
	for _, p := range more {
		p.skipped, p.only = skipped[p.ImportPath], true
	}
	return append(chosen, more...), err
}

// addTests adds tests, PACKAGE.TEST each, to those of their packages.
func addTests(to map[string][]string, names []string) {
	for _, name := range names {
		dot := strings.LastIndexByte(name, '.')
		to[name[:dot]] = append(to[name[:dot]], regexp.QuoteMeta(name[dot+1:]))
	}
}

// skippedTests returns, by package, the names of the tests (without subtests) that
// were skipped because the kernel lacked a feature.
func skippedTests(all []results.Result) map[string][]string {
	skipped := map[string][]string{}
	for _, r := range all {
		if r.Outcome == results.Skip && testnet.OfKernel(r.Reason) {
			name, _, _ := strings.Cut(r.Test, "/")
			if name = regexp.QuoteMeta(name); !slices.Contains(skipped[r.Package], name) {
				skipped[r.Package] = append(skipped[r.Package], name)
			}
		}
	}
	return skipped
}

// findPackages returns the packages of the patterns that have tests; without patterns
// those with live tests, outside of test/.
func findPackages(ctx context.Context, patterns []string) ([]*testPackage, error) {
	all := len(patterns) == 0
	if all {
		patterns = []string{"./..."}
	}
	out, err := command.Output(ctx, "", "go", append([]string{"list",
		"-json=ImportPath,Dir,Module,TestGoFiles,XTestGoFiles"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	var found []*testPackage
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		p := new(testPackage)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if kernelFree.MatchString(p.ImportPath) {
			continue
		}
		live, err := p.live()
		if err != nil {
			return nil, err
		}
		engines := strings.HasPrefix(p.ImportPath, p.Module.Path+"/test/")
		if len(live) > 0 && !engines || !all && len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("packages %q: none with tests", patterns)
	}
	return found, nil
}

// pattern returns the -test.run pattern for exactly the live tests of a package and
// those that another kernel skipped, or for all tests if the package has neither.
func (p *testPackage) pattern() (string, error) {
	var names []string
	if !p.only {
		var err error
		if names, err = p.live(); err != nil || len(names) == 0 {
			return ".", err
		}
	}
	return exactly(slices.Concat(names, p.skipped)), nil
}

// exactly returns the -test.run pattern for exactly the tests of some names.
func exactly(names []string) string {
	return "^(" + strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), "|") + ")$"
}

// testNames returns the tests of a file, by the rule of `go help testfunc`.
func testNames(f *ast.File) []string {
	var names []string
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || fn.Name.Name == "TestMain" {
			continue
		}
		if rest, ok := strings.CutPrefix(fn.Name.Name, "Test"); ok {
			if r, _ := utf8.DecodeRuneInString(rest); !unicode.IsLower(r) {
				names = append(names, regexp.QuoteMeta(fn.Name.Name))
			}
		}
	}
	return names
}

// build compiles the package's tests, static, to a file.
func (p *testPackage) build(ctx context.Context, file string) error {
	return command.Go(ctx, ".", "test", "-c", "-o", file, "-ldflags=-s -w", p.ImportPath)
}
