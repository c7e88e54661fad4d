package specs

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSysctlsAreDocumented compares the permitted settings with those of networks.md.
func TestSysctlsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("networks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range slices.Sorted(maps.Keys(permittedSysctls())) {
		var listed []string
		for line := range strings.Lines(string(text)) {
			if cells := strings.Split(line, "|"); len(cells) > 2 && strings.Contains(cells[1], "`net."+dir+".IFNAME.`") {
				for name := range strings.SplitSeq(cells[2], ",") {
					listed = append(listed, strings.Trim(name, " `"))
				}
			}
		}
		slices.Sort(listed)
		if want := slices.Sorted(maps.Keys(permittedSysctls()[dir])); !slices.Equal(listed, want) {
			t.Errorf("%s: networks.md lists %q, want %q", dir, listed, want)
		}
	}
}
