package install

import "testing"

func TestKeepsRefused(t *testing.T) {
	for text, want := range map[string]bool{
		"1.7.27": false, "2.0.5": true, "2.1.9+unknown": true, "2.2.0": true, "2.2.5-rc.1": true, "2.2.6": false, "2.2.10~ds1": false,
		"2.3.2": true, "2.3.3": false, "2.3.7+unknown": false, "2.4.0-beta.0": false, "3.0.0": false,
	} {
		v, err := ParseVersion("containerd github.com/containerd/containerd " + text + " abcdef")
		if err != nil || v.KeepsRefused() != want {
			t.Errorf("%s: %t, %v, want %t", text, v.KeepsRefused(), err, want)
		}
	}
	if (Version{}).KeepsRefused() {
		t.Error("an unknown version keeps them")
	}
}
