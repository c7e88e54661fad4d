package specs

import (
	"fmt"
	"strings"
	"testing"
)

// TestAnnotationsAskForSoMuch checks the bounds of an annotation: 32 interfaces,
// 32 addresses each, 64 KiB. One more is refused.
func TestAnnotationsAskForSoMuch(t *testing.T) {
	t.Parallel()
	ips := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(`"192.0.2.%d"`, i+1)
		}
		return `[{"name":"lan","ips":[` + strings.Join(all, ",") + `]}]`
	}
	long := func(n int) string { return "lan" + strings.Repeat(" ", n-len("lan")) }
	names := func(n int) string { return strings.TrimSuffix(strings.Repeat("lan,", n), ",") }
	for name, of := range map[string]struct{ most, more string }{
		"interfaces": {names(32), names(33)},
		"addresses":  {ips(32), ips(33)},
		"bytes":      {long(64 << 10), long(64<<10 + 1)},
	} {
		if _, err := ParseAnnotations(map[string]string{"berth/networks": of.most}); err != nil {
			t.Errorf("%s, the most: %v", name, err)
		}
		if _, err := ParseAnnotations(map[string]string{"berth/networks": of.more}); err == nil {
			t.Errorf("%s, one more: accepted", name)
		}
	}
}
