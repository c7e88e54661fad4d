package testnet

import "testing"

func TestParseRelease(t *testing.T) {
	for release, want := range map[string]Version{
		"6.1.0-56-cloud-amd64": {6, 1}, "6.12.117+deb12-cloud-amd64": {6, 12}, "7.2-rc1": {7, 2}, "5.14": {5, 14},
	} {
		if got, err := parseRelease(release); err != nil || got != want {
			t.Errorf("%s: %v, %v", release, got, err)
		}
	}
	if v, err := parseRelease("next"); err == nil {
		t.Errorf("next: %v", v)
	}
}

// A kernel that is new enough for a feature and lacks it is a failure.
func TestLacks(t *testing.T) {
	since := Version{6, 6}
	for kernel, skipped := range map[Version]bool{{5, 14}: true, {6, 5}: true, {6, 6}: false, {6, 12}: false, {7, 0}: false} {
		skip, err := kernel.lacks("tcx", since)
		if (skip != "") != skipped || (err == nil) != skipped {
			t.Errorf("%v: skip %q, error %v", kernel, skip, err)
		}
		if skipped && !OfKernel(skip) {
			t.Errorf("%q is no reason of a kernel", skip)
		}
	}
	if !OfKernel(newerReason+"Linux 6.6, which brought tcx") || !OfKernel(SkipReason(VLAN)) || OfKernel("missing a radio") {
		t.Error("reasons of kernels")
	}
}
