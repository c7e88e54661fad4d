package observe

import (
	"strings"
	"testing"
)

func TestContainerIn(t *testing.T) {
	outer, id := strings.Repeat("0f", 32), strings.Repeat("a1", 32)
	for text, want := range map[string]string{
		"0::/system.slice/docker-" + id + ".scope\n":                               id,
		"12:memory:/docker/" + id + "\n11:cpu:/docker/" + id + "\n":                id,
		"0::/machine.slice/libpod-" + id + ".scope/container\n":                    id,
		"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope\n": id,
		"0::/kubepods.slice/crio-" + id + ".scope\n":                               id,
		"0::/default/" + id + "\n":                                                 id,
		"0::/docker/" + outer + "/docker/" + id + "\n":                             id,
		"0::/user.slice/user-0.slice/session-1.scope\n":                            "",
		"0::/docker/" + id + "0\n":                                                 "",
		"":                                                                         "",
	} {
		if got := containerIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
