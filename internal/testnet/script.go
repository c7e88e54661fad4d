package testnet

import (
	"os/exec"
	"strings"
	"testing"
)

// Script writes a program of sh(1). Another process writes it: a descriptor of this one could
// be inherited for a moment by a process that a parallel test starts, and the script could not
// be executed meanwhile (ETXTBSY).
func Script(t testing.TB, path, text string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `cat > "$0" && chmod 755 "$0"`, path)
	cmd.Stdin = strings.NewReader("#!/bin/sh\n" + text + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("write script %q: %v\n%s", path, err, out)
	}
}
