package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// imageBin is the directory of the programs in the image and the Kubernetes manifests.
const imageBin = "/usr/local/bin"

var built struct {
	once sync.Once
	dir  string
	err  error
	out  []byte
}

// build builds the programs once, with make's flags, and returns their directory.
func build(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		built.dir = shared
		for _, what := range [][]string{{"./cmd/..."}, {"-tags", "hook", "./cmd/berth-hook", "./cmd/berth-cni", "./cmd/berth-netavark"}} {
			args := slices.Concat([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", built.dir + "/"}, what)
			cmd := exec.Command("go", args...)
			cmd.Dir = "../.."
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if built.out, built.err = cmd.CombinedOutput(); built.err != nil {
				return
			}
		}
		client := "../../engine/resident/client/berth-hook-client-" + runtime.GOARCH
		built.out, built.err = exec.Command("install", "-m755", client, built.dir+"/berth-hook-client").CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("build the programs: %v\n%s", built.err, built.out)
	}
	return built.dir
}

// checkFlags checks that a program's help has the flags, or the command, in args.
func checkFlags(t *testing.T, program string, args []string) {
	t.Helper()
	for _, arg := range args {
		flag, isFlag := strings.CutPrefix(arg, "--")
		flag, _, _ = strings.Cut(flag, "=")
		out, err := exec.Command(program, "--help").Output()
		help := strings.ReplaceAll(string(out), "\n", " ")
		switch {
		case err != nil:
			t.Errorf("%s --help: %v", filepath.Base(program), err)
		case isFlag && strings.Contains(help, "--"+flag+" "):
		case !isFlag && strings.Contains(help, " "+arg+" "):
			return // a command; its own help has the rest
		default:
			t.Errorf("%s has no %q:\n%s", filepath.Base(program), arg, help)
		}
	}
}
