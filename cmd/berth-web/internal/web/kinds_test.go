package web

import (
	"strings"
	"testing"

	"berth/specs"
)

func TestEveryKindIsExplained(t *testing.T) {
	all := Kinds()
	for _, kind := range specs.Kinds() {
		text := all[kind]
		for _, head := range []string{"Is. ", "Means. ", "What to do. "} {
			if !strings.Contains(text, head) {
				t.Errorf("%s has no paragraph %q: %q", kind, head, text)
			}
		}
		if strings.ContainsAny(text, "*`#") || strings.Contains(text, "Is not") {
			t.Errorf("%s has Markdown or another paragraph in it: %q", kind, text)
		}
	}
}
