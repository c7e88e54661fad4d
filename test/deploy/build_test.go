package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// imageBin is where the image and the Kubernetes manifests have the programs.
const imageBin = "/usr/local/bin"

var built struct {
	once sync.Once
	dir  string
	err  error
	out  []byte
}

// build builds the programs once, as make does, and returns their folder.
func build(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		built.dir = shared
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", built.dir+"/", "./cmd/...")
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		built.out, built.err = cmd.CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("go build: %v\n%s", built.err, built.out)
	}
	return built.dir
}

// checkFlags holds the arguments of a program to the flags, or else the
// commands, that its help has.
func checkFlags(t *testing.T, program string, args []string) {
	t.Helper()
	for _, arg := range args {
		flag, isFlag := strings.CutPrefix(arg, "--")
		flag, _, _ = strings.Cut(flag, "=")
		out, _ := exec.Command(program, "--help").CombinedOutput() // package flag exits 2 for it
		help := string(out)
		switch {
		case isFlag && strings.Contains(help, "  -"+flag+" "), isFlag && strings.Contains(help, "--"+flag+" "):
		case !isFlag && filepath.Base(program) == "berth" && strings.Contains(help, " "+arg+" "):
			return // a command; what follows is of its own help
		default:
			t.Errorf("%s has no %q:\n%s", filepath.Base(program), arg, help)
		}
	}
}
