package testnet

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// CacheVar is the environment variable with the directory of files kept between
// runs: trees, kernels, and programs that scripts/deps.sh has extracted from
// packages.
const CacheVar = "BERTH_CACHE"

// Cache returns the value of CacheVar, or /var/cache/berth if it is not set.
func Cache() string {
	if dir := os.Getenv(CacheVar); dir != "" {
		return dir
	}
	return "/var/cache/berth"
}

// Program returns the path of a program that scripts/deps.sh installs. If it is
// missing, the test fails and is not skipped, because it could run here.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	extracted := filepath.Join(Cache(), "bin", name)
	if _, err := os.Stat(extracted); err == nil {
		return extracted
	}
	t.Fatalf("program %q is not installed; install it first: make deps", name)
	return ""
}
