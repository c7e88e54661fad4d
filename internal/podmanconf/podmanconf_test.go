package podmanconf

import (
	"slices"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

func TestHooksDirs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values []string // of the files, in their order
		want   []string
	}{
		"nothing said":              {nil, []string{UsrHooksDir}},
		"one":                       {[]string{`["/a"]`}, []string{"/a"}},
		"a later one replaces":      {[]string{`["/a"]`, `["/b", "/c"]`}, []string{"/b", "/c"}},
		"appended to the default":   {[]string{`["/a", {append = true}]`}, []string{UsrHooksDir, "/a"}},
		"appended, wherever said":   {[]string{`["/a"]`, `[{append = true}, "/b"]`}, []string{"/a", "/b"}},
		"append stays in force":     {[]string{`["/a", {append = true}]`, `["/b"]`}, []string{UsrHooksDir, "/a", "/b"}},
		"append taken back":         {[]string{`["/a", {append = true}]`, `["/b", {append = false}]`}, []string{"/b"}},
		"an empty list is both":     {[]string{`["/a"]`, `[]`}, []string{UsrHooksDir, EtcHooksDir}},
		"appending nothing":         {[]string{`["/a"]`, `[{append = true}]`}, []string{"/a"}},
		"appended to an empty list": {[]string{`[]`, `["/a", {append = true}]`}, []string{"/a"}},
	} {
		var h HooksDirs
		for _, value := range c.values {
			if err := h.Read(decodeTOML(t, value)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := h.Dirs(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for _, wrong := range []string{`"/a"`, `[1]`, `[{append = 1}]`, `[{prepend = true}]`, `3`} {
		if err := new(HooksDirs).Read(decodeTOML(t, wrong)); err == nil {
			t.Errorf("%s was read, and podman does not start with it", wrong)
		}
	}
}

func TestPluginDirs(t *testing.T) {
	t.Parallel()
	var d PluginDirs
	if got := d.Dirs(); !slices.Equal(got, NetavarkDirs) {
		t.Errorf("by default %q", got)
	}
	for value, want := range map[string][]string{
		`["/a", "/b"]`: {"/a", "/b"}, `["/a", {append = true}]`: append(slices.Clone(NetavarkDirs), "/a"), `[]`: {},
	} {
		d = PluginDirs{}
		if err := d.Read(decodeTOML(t, value)); err != nil || !slices.Equal(d.Dirs(), want) {
			t.Errorf("%s: %q, %v; want %q", value, d.Dirs(), err, want)
		}
	}
	if err := d.Read(decodeTOML(t, `"/a"`)); err == nil {
		t.Error("a text was read as a list")
	}
}

func decodeTOML(t *testing.T, value string) any {
	t.Helper()
	var file map[string]any
	if err := toml.Unmarshal([]byte("hooks_dir = "+value), &file); err != nil {
		t.Fatal(err)
	}
	return file["hooks_dir"]
}
