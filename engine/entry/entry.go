// Package entry describes how engines and runtimes run berth-hook or its client: the entry of a stage in
// an OCI configuration, and the file of hooks.d.
//
// [Hook] returns the entry, [HooksD] the text of the file.
//
// It writes nothing and is independent of engines. It imports engine/program and internal/config.
package entry

import (
	"encoding/json"

	"github.com/opencontainers/runtime-spec/specs-go"

	"berth/engine/program"
	"berth/internal/config"
)

// Timeout is the time in seconds after which a runtime kills the hook, whose own deadline
// is 20.
const Timeout = 30

// Env returns the hook's whole environment. Without one it would inherit the runtime's,
// with variables from an engine or an image.
//
// GOMAXPROCS is for Go's runtime: a run is sequential, and each further processor costs it the
// pages of a heap of its own, and threads: together an eighth of a run's page faults.
func Env() []string { return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=1"} }

// Hook returns the entry of a program with its directories and further arguments.
func Hook(path string, dirs config.Dirs, args ...string) specs.Hook {
	timeout := Timeout
	all := append([]string{program.Hook}, Flags("--", dirs)...)
	return specs.Hook{Path: path, Args: append(all, args...), Env: Env(), Timeout: &timeout}
}

// Flags returns the flags of a program of berth's, which begin with a prefix, for the
// directories that are not its defaults.
func Flags(prefix string, d config.Dirs) (flags []string) {
	for _, dir := range []struct{ name, value, standard string }{
		{"config", d.Config, config.DefaultConfig},
		{"state", d.State, config.DefaultState},
		{"bpffs", d.BPFFS, config.DefaultBPFFS},
	} {
		if dir.value != dir.standard {
			flags = append(flags, prefix+dir.name, dir.value)
		}
	}
	return flags
}

// hooksFile is a file of hooks.d (oci-hooks(5), version 1.0.0).
type hooksFile struct {
	Version string     `json:"version"`
	Hook    specs.Hook `json:"hook"`
	When    condition  `json:"when"`
	Stages  []string   `json:"stages"`
}

type condition struct {
	Annotations map[string]string `json:"annotations"`
}

// HooksD returns the hooks.d file by which podman and CRI-O run the hook at path. It
// triggers on any annotation of berth's, so that a misspelt one is an error too. Both
// stages have the same arguments: the state's status distinguishes them.
func HooksD(path string, dirs config.Dirs) string {
	data, err := json.MarshalIndent(hooksFile{
		"1.0.0", Hook(path, dirs),
		condition{map[string]string{"^berth/": ".*"}},
		[]string{"createRuntime", "poststop"},
	}, "", "\t")
	if err != nil { // contains strings and numbers only
		panic(err)
	}
	return string(data) + "\n"
}
