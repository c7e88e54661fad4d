package install

import (
	"strings"
	"testing"
)

// TestNRIOverSeveralFiles requires that NRI is enabled, and its directory of plugins found, by the merged
// configuration, whichever file has the values.
func TestNRIOverSeveralFiles(t *testing.T) {
	const nri = "[plugins.'io.containerd.nri.v1.nri']\n"
	const imports = "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n"
	for name, c := range map[string]struct {
		version, main, drop string
		enables             bool
		dir                 string
	}{
		"off in the main file":   {"2.2.0", imports + nri + "disable = true\n", "", true, nriPluginDir},
		"off in a drop-in":       {"2.2.0", imports, "version = 3\n" + nri + "disable = true\n", true, nriPluginDir},
		"on again in a drop-in":  {"2.2.0", imports + nri + "disable = true\n", "version = 3\n" + nri + "disable = false\n", false, nriPluginDir},
		"the main file's path":   {"2.2.0", imports + nri + "plugin_path = '/srv/nri'\n", "", false, "/srv/nri"},
		"a drop-in's path":       {"2.2.0", imports, "version = 3\n" + nri + "plugin_path = '/srv/nri'\n", false, "/srv/nri"},
		"1.7, off by default":    {"1.7.0", "version = 2\n", "", true, nriPluginDir},
		"1.7, on in the file":    {"1.7.0", "version = 2\n" + nri + "disable = false\n", "", false, nriPluginDir},
		"1.7, off in an import":  {"1.7.0", "version = 2\nimports = ['/etc/containerd/conf.d/*.toml']\n" + nri + "disable = false\n", "version = 2\n" + nri + "disable = true\n", true, nriPluginDir},
		"2.0, nothing is set":    {"2.0.0", "version = 3\n", "", false, nriPluginDir},
		"2.0, without a version": {"2.0.0", "root = '/x'\n", "", false, nriPluginDir},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "containerd="+c.version+" runc", nil)
			h.write(containerdConfig, c.main, 0o644)
			if c.drop != "" {
				h.write("/etc/containerd/conf.d/10-site.toml", c.drop, 0o644)
			}
			text := h.showPlan(h.install(h.options(NRI, Options{})))
			if strings.Contains(text, "+  disable = false") != c.enables && !strings.Contains(text, "+disable = false") {
				t.Errorf("enables %t, want %t:\n%s", !c.enables, c.enables, text)
			}
			if !strings.Contains(text, "+++ "+c.dir+"/"+nriPlugin) {
				t.Errorf("the plugin is not in %s:\n%s", c.dir, text)
			}
		})
	}
}
