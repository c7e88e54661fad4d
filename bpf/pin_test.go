package bpf

import "testing"

func TestParseLinkName(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		index, got, ok := parseLinkName("12-" + w.String())
		if !ok || index != 12 || got != w {
			t.Errorf("12-%s is (%d, %s, %t)", w, index, got, ok)
		}
	}
	for _, name := range []string{"", "12", "12-", "-ingress", "0-ingress", "-1-ingress", "+1-ingress", "012-egress", "12-sideways", "x-egress"} {
		if index, w, ok := parseLinkName(name); ok {
			t.Errorf("%q is a link of interface %d, %s", name, index, w)
		}
	}
}
