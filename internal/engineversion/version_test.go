package engineversion

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]Version{
		"containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3":  {1, 6, "1.6.20~ds1"},
		"containerd github.com/containerd/containerd/v2 v2.2.0 1c4457e00facac03ce1d75": {2, 2, "2.2.0"},
		"Docker version 28.2.2, build e6534b4":                                         {28, 2, "28.2.2"},
		"podman version 4.3.1":                                                         {4, 3, "4.3.1"},
		"crio version 1.31.0\nVersion: 1.31.0":                                         {1, 31, "1.31.0"},
		"containerd github.com/containerd/containerd 2.0-rc1":                          {2, 0, "2.0-rc1"},
		"v2.1.5-k3s1": {2, 1, "2.1.5-k3s1"},
	} {
		if v, err := Parse(text); v != want || err != nil {
			t.Errorf("%q: %+v, %v, want %+v", text, v, err, want)
		}
	}
	if v, err := Parse("not a version"); err == nil {
		t.Errorf("%+v is no error", v)
	}
}

func TestKeepsRefused(t *testing.T) {
	for text, want := range map[string]bool{
		"1.7.27": false, "2.0.5": true, "2.1.9+unknown": true, "2.2.0": true, "2.2.5-rc.1": true, "2.2.6": false, "2.2.10~ds1": false,
		"2.3.2": true, "2.3.3": false, "2.3.7+unknown": false, "2.4.0-beta.0": false, "3.0.0": false,
	} {
		v, err := Parse("containerd github.com/containerd/containerd " + text + " abcdef")
		if err != nil || v.KeepsRefused() != want {
			t.Errorf("%s: %t, %v, want %t", text, v.KeepsRefused(), err, want)
		}
	}
	if (Version{}).KeepsRefused() {
		t.Error("an unknown version keeps them")
	}
}
