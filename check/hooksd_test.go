package check

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGatherHooks requires that only an engine's own directories of hooks.d count.
func TestGatherHooks(t *testing.T) {
	const hook = `{"version": "1.0.0", "hook": {"path": "/usr/local/bin/berth-hook"}, "stages": ["createRuntime", "poststop"]}`
	const usr, etc, own = "usr/share/containers/oci/hooks.d/", "etc/containers/oci/hooks.d/", "opt/hooks.d/"
	const conf = "etc/containers/containers.conf"
	for name, c := range map[string]struct {
		engine string
		files  map[string]string // in addition to the program
		named  string            // directory of the file that names it
		unread string            // directory of a file that it does not read
	}{
		"podman, /usr":           {"podman", map[string]string{usr + "berth.json": hook}, usr, ""},
		"podman, /etc":           {"podman", map[string]string{etc + "berth.json": hook}, "", etc},
		"podman, both":           {"podman", map[string]string{usr + "berth.json": hook, etc + "berth.json": hook}, usr, etc},
		"podman, /etc broken":    {"podman", map[string]string{usr + "berth.json": hook, etc + "x.json": "{"}, usr, ""},
		"podman, /etc another":   {"podman", map[string]string{etc + "x.json": `{"hook": {"path": "/usr/bin/x"}}`}, "", ""},
		"podman named of /etc":   {"podman", map[string]string{etc + "berth.json": hook, conf: "[engine]\nhooks_dir = [\"/etc/containers/oci/hooks.d\"]\n"}, etc, ""},
		"podman named of others": {"podman", map[string]string{usr + "berth.json": hook, conf: "[engine]\nhooks_dir = [\"/opt/hooks.d\"]\n"}, "", usr},
		"podman named of more":   {"podman", map[string]string{usr + "berth.json": hook, conf: "[engine]\nhooks_dir = [\"/opt/hooks.d\", {append = true}]\n"}, usr, ""},
		"the last one tells": {"podman", map[string]string{
			own + "berth.json": hook, "usr/share/containers/containers.conf": "[engine]\nhooks_dir = [\"/usr/hooks.d\"]\n",
			conf: "[engine]\nhooks_dir = [\"/none\"]\n", conf + ".d/50-own.conf": "[engine]\nhooks_dir = [\"/opt/hooks.d\"]\n", conf + ".d/60-other.conf": "[engine]\n",
		}, own, ""},
		"CRI-O, /usr": {"crio", map[string]string{usr + "berth.json": hook}, usr, ""},
		"CRI-O, /etc": {"crio", map[string]string{etc + "berth.json": hook, conf: "[engine]\nhooks_dir = [\"/opt/hooks.d\"]\n"}, etc, ""},
	} {
		files := maps.Clone(c.files)
		files["bin/"+c.engine] = ""
		dir := makeRoot(t, files)
		all := (&Checker{Root: dir, Path: []string{dir + "/bin"}}).gatherEngines()
		if len(all) != 1 || len(all[0].Broken) != 0 {
			t.Fatalf("%s: %+v", name, all)
		}
		in := func(of string) []string {
			if of == "" {
				return nil
			}
			return []string{dir + "/" + of + "berth.json"}
		}
		var hooks []string
		for _, h := range all[0].Hooks {
			hooks = append(hooks, h.File)
		}
		if diff := cmp.Diff(in(c.named), hooks); diff != "" {
			t.Errorf("%s: files read (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(in(c.unread), all[0].Unread); diff != "" {
			t.Errorf("%s: files ignored (-want +got):\n%s", name, diff)
		}
	}
}

// TestBrokenContainersConf: podman fails on a containers.conf that does not parse.
func TestBrokenContainersConf(t *testing.T) {
	dir := makeRoot(t, map[string]string{"bin/podman": "", "etc/containers/containers.conf": "[engine\n"})
	all := (&Checker{Root: dir, Path: []string{dir + "/bin"}}).gatherEngines()
	if len(all) != 1 || !slices.ContainsFunc(all[0].Broken, func(b BrokenFile) bool { return strings.HasSuffix(b.File, "/containers.conf") }) {
		t.Errorf("%+v", all)
	}
}
