package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const unitFile = "../../deploy/systemd/berthd.service"

// unit is a unit file: the values of each key, by section.
type unit map[string]map[string][]string

// readUnit parses a file in the format of systemd.syntax(7), without continued lines.
func readUnit(t *testing.T, path string) unit {
	t.Helper()
	text, err := os.ReadFile(path)
	mustSucceed(t, err)
	u, section := unit{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value, isKey := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			u[section] = map[string][]string{}
		case !isKey || section == "":
			t.Fatalf("%s: line %q", path, line)
		default:
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

// directiveWords returns the words of a key of the service.
func (u unit) directiveWords(key string) []string {
	return strings.Fields(strings.Join(u["Service"][key], " "))
}

// TestUnitsAreValid requires that systemd accepts the units without a warning.
func TestUnitsAreValid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	exe, err := os.Executable()
	mustSucceed(t, err)
	args := []string{"verify", "--man=no"}
	for _, name := range []string{"berthd.service", "berthd-metrics.socket", "berthd-handover.service"} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(unitFile), name))
		mustSucceed(t, err)
		here := filepath.Join(dir, name)
		mustSucceed(t, os.WriteFile(here, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/berthd", exe)), 0o644))
		args = append(args, here)
	}
	// A warning on the unit begins with its path. systemd may also warn of the machine.
	if out, err := exec.Command("systemd-analyze", args...).CombinedOutput(); err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=25", filepath.Join(dir, "berthd.service")).CombinedOutput()
	if err != nil {
		t.Errorf("exposed by more than 2.5 of 10: %v\n%s", err, out)
	}
}

// TestUnitMatchesTheAgent compares the unit's settings with those of the agent.
func TestUnitMatchesTheAgent(t *testing.T) {
	t.Parallel()
	u := readUnit(t, unitFile)
	for key, want := range map[string]string{
		"Type": "notify", "RuntimeDirectory": "berth", "RuntimeDirectoryMode": "0711", "RuntimeDirectoryPreserve": "yes",
		"CapabilityBoundingSet": "CAP_BPF CAP_NET_ADMIN CAP_NET_BROADCAST CAP_PERFMON", "AmbientCapabilities": "", "NoNewPrivileges": "yes",
		"ProtectSystem": "strict", "ReadOnlyPaths": "/proc", "BindReadOnlyPaths": "/run /sys", "ReadWritePaths": "/sys/fs/bpf",
	} {
		if got := u["Service"][key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	// It would make /sys/fs/bpf read-only, in spite of ReadWritePaths.
	if u["Service"]["ProtectKernelTunables"] != nil {
		t.Error("ProtectKernelTunables is set")
	}
	if u["Service"]["WatchdogSec"] == nil {
		t.Error("no watchdog")
	}
	socket := readUnit(t, filepath.Join(filepath.Dir(unitFile), "berthd-metrics.socket"))
	if got := socket["Socket"]["FileDescriptorName"]; !slices.Equal(got, []string{"metrics"}) {
		t.Errorf("the socket is named %q, want metrics", got)
	}
}
