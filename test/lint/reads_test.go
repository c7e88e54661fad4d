package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// mayOpen are the files that open by package os, each with the reason. All others read by
// internal/regular: a path of another program's or of a user's may lead to a FIFO, which blocks, or to a
// device without an end.
var mayOpen = map[string]string{
	"agent/daemon/pages.go":      "of procfs",
	"agent/ground/bpffs.go":      "a directory, and of procfs",
	"agent/observe/holders.go":   "of procfs",
	"agent/observe/machines.go":  "of procfs",
	"agent/pools/member.go":      "of procfs",
	"bpf/lock.go":                "a directory of bpffs",
	"bpf/sys/memory.go":          "of sysfs",
	"check/machine.go":           "of sysfs",
	"check/modules.go":           "of procfs, and of the kernel's modules",
	"cmd/berth-hook/report.go":   "of procfs",
	"cmd/berth/internal/doctor":  "its own files, and a directory",
	"engine/docker/container.go": "of cgroupfs",
	"engine/docker/networks.go":  "its own directory",
	"internal/cluster/file.go":   "its own directory",
	"network/held.go":            "of procfs",
	"network/ipv6.go":            "of sysfs",
	"network/parent.go":          "of sysfs",
}

func TestFilesAreReadWithABound(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		for _, room := range []string{"test/", "internal/testnet/", "engine/doortest/", "bin/"} {
			if strings.HasPrefix(name, room) {
				return nil
			}
		}
		places := token.NewFileSet()
		file, err := parser.ParseFile(places, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok || call.Sel.Name != "Open" && call.Sel.Name != "ReadFile" {
				return true
			}
			if of, ok := call.X.(*ast.Ident); !ok || of.Name != "os" {
				return true
			}
			for _, at := range []string{name, filepath.Dir(name)} {
				if mayOpen[at] != "" {
					used[at] = true
					return true
				}
			}
			t.Errorf("%s: os.%s: use internal/regular, which neither blocks nor reads without a bound", places.Position(call.Pos()),
				call.Sel.Name)
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for at := range mayOpen {
		if !used[at] {
			t.Errorf("%s opens nothing any more: remove its exception", at)
		}
	}
}
