package testnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A Version is that of a kernel.
type Version struct{ Major, Minor int }

// Since skips the test if the kernel is older than a feature, and fails it if the
// kernel is new enough and still lacks the feature.
func Since(t testing.TB, has bool, feature string, since Version) {
	t.Helper()
	if has {
		return
	}
	kernel, err := running()
	if err == nil {
		var skip string
		if skip, err = kernel.lacks(feature, since); skip != "" {
			t.Skip(skip)
		}
	}
	t.Fatal(err)
}

// Before skips the test if the kernel has a feature without which the test must run.
func Before(t testing.TB, has bool, feature string, since Version) {
	t.Helper()
	if has {
		t.Skipf("%sLinux %v, which brought %s", newerReason, since, feature)
	}
}

const (
	olderReason = "the kernel is older than "
	newerReason = "the kernel is not older than "
)

// lacks returns the reason for a skip, or an error if the kernel ought to have the
// feature.
func (v Version) lacks(feature string, since Version) (skip string, err error) {
	if v.Major < since.Major || v.Major == since.Major && v.Minor < since.Minor {
		return fmt.Sprintf("%sLinux %v, which brought %s", olderReason, since, feature), nil
	}
	return "", fmt.Errorf("the kernel %v lacks %s, which Linux has since %v", v, feature, since)
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// OfKernel reports whether another kernel may run a test that was skipped for the
// reason.
func OfKernel(reason string) bool {
	ofFeature := func(f Feature) bool { return reason == SkipReason(f) }
	ofVersion := func(prefix string) bool { return strings.HasPrefix(reason, prefix) }
	return ofVersion(olderReason) || ofVersion(newerReason) || slices.ContainsFunc(Features(), ofFeature)
}

// running returns the version of the running kernel.
func running() (Version, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Version{}, fmt.Errorf("uname: %w", err)
	}
	return parseRelease(unix.ByteSliceToString(name.Release[:]))
}

// parseRelease returns the version in a release, as uname(2) has it.
func parseRelease(release string) (v Version, err error) {
	if _, err = fmt.Sscanf(release, "%d.%d", &v.Major, &v.Minor); err != nil {
		err = fmt.Errorf("release %q of the kernel: %w", release, err)
	}
	return v, err
}
