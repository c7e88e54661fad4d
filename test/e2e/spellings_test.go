package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"berth/test/lab"
)

// spellings are command lines that create a container, with R for the root directory
// and B for its bundle. One or both runtimes accept them.
var spellings = map[string]string{
	"long":                  "--root R create --bundle B ID",
	"equals signs":          "--root=R create --bundle=B ID",
	"one dash":              "-root R create -bundle B ID",
	"one dash, equals sign": "-root=R create -b=B ID",
	"letter":                "--root R create -b B ID",
	"letter and value":      "--root R create -bB ID",
	"letters":               "--root R run -db B ID",
	"containerd's":          "--root R --log R.log --log-format json create --bundle B --pid-file R.pid ID",
	"conmon's":              "--root R --log-format=json --log=R.log create --bundle B --no-pivot --pid-file R.pid ID",
	"booleans":              "--root R --debug=true --systemd-cgroup=false create --bundle B ID",
	"crun's own":            "--root R --cgroup-manager cgroupfs --log-level error create --bundle B ID",
	"beginning of a name":   "--root R create --bun B ID",
	"flags behind the id":   "--root R run ID --detach --bundle B",
	"end of flags":          "--root R run --detach -b B -- ID",
	"twice":                 "--root R create --bundle /nowhere --bundle B ID",
	"a value like a verb":   "--root R --log create create --bundle B ID",
	"working directory":     "--root R create ID",
	"file of its own":       "--root R create -f B/config.json ID",
	"flags with values":     "--root R run -d --preserve-fds 0 --no-new-keyring --pid-file R.pid -b B ID",
}

// TestSpellings checks that every command line that a runtime accepts attaches the
// container, and that every other leaves nothing.
func TestSpellings(t *testing.T) {
	for runtime, taken := range map[string]int{"runc": 14, "crun": 14} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			must(t, s.Network("lan", lanNetwork))
			program, err := s.Wrapper(lab.Wrapper{Runtime: runtime})
			must(t, err)
			root, bundle := filepath.Join(s.Dir, "root"), filepath.Join(s.Dir, "bundle")
			for name, line := range spellings {
				b := lab.Bundle{ID: s.id("one"), Rootfs: rootfs, Args: []string{"sleep", "600"}, Annotations: annotations{"berth/networks": "lan"}}
				must(t, b.Write(bundle))
				line = strings.NewReplacer("ID", s.id("one"), "R.", root+".", "R ", root+" ", "B", bundle).Replace(line)
				out, err := s.Run("sh", "-c", "cd "+bundle+" && exec "+program+" "+line)
				all := s.ps(t)
				if err == nil {
					taken--
				}
				if (err == nil) != (len(all) == 1) {
					t.Errorf("%s: %q ends with %v and %d attachments: %s", name, line, err, len(all), out)
				}
				_, _ = s.Run(program, "--root", root, "delete", "--force", s.id("one")) // it may not exist
			}
			if taken > 0 {
				t.Errorf("%s took %d command lines fewer than it knows", runtime, taken)
			}
			s.expectReleased(t)
		})
	}
}
