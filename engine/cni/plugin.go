package cni

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"

	"github.com/containernetworking/cni/pkg/version"

	"berth/engine/door"
	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

// Program is the name of the plugin, which configurations have as their type.
const Program = "berth-cni"

// Versions are the supported versions of the protocol.
var Versions = version.VersionsStartingFrom("0.3.1").SupportedVersions()

// Plugin answers one call of a CNI runtime.
type Plugin struct {
	Dirs   config.Dirs
	Store  *state.Store
	Log    *slog.Logger
	Getenv func(string) string
	Stdin  io.Reader
	Stdout io.Writer

	// Step, Interruptible and StartProber are those of the hook.
	Step          func(name string) error
	Interruptible func(context.Context) context.Context
	StartProber   func([]hook.ProbeRequest) error
}

// operation is one of CNI's operations.
type operation struct {
	since string   // the first version that has it
	needs []string // environment variables
	do    func(*Plugin, context.Context, *call) (result any, err error)
}

var operations = map[string]operation{
	"ADD":    {"0.3.1", []string{envContainer, envNetNS, envInterface}, (*Plugin).add},
	"DEL":    {"0.3.1", []string{envContainer, envInterface}, (*Plugin).del},
	"CHECK":  {"0.4.0", []string{envContainer, envNetNS, envInterface}, (*Plugin).checkAttachment},
	"STATUS": {"1.1.0", nil, (*Plugin).status},
	"GC":     {"1.1.0", nil, (*Plugin).gc},
}

// Run answers the call, and returns the program's exit status.
func (p *Plugin) Run(ctx context.Context) int {
	input := struct{ CNIVersion string }{version.Current()}
	data, err := p.readConfiguration(ctx)
	if err == nil {
		_ = json.Unmarshal(data, &input) // an invalid input is reported by its own parser
	}
	input.CNIVersion = cmp.Or(input.CNIVersion, version.Current())
	var result any
	if err == nil {
		result, err = p.answer(ctx, input.CNIVersion, data)
	}
	if err != nil {
		p.Log.Error(Program, "command", p.Getenv(envCommand), "container", p.Getenv(envContainer), "error", err)
		result = errorOf(input.CNIVersion, err)
	}
	if result != nil {
		text, encodeErr := json.MarshalIndent(result, "", "    ")
		_, writeErr := p.Stdout.Write(append(text, '\n'))
		err = errors.Join(err, encodeErr, writeErr)
	}
	if err != nil {
		return 1
	}
	return 0
}

// answer returns the value to write to standard output, or nil for none.
func (p *Plugin) answer(ctx context.Context, protocol string, data []byte) (any, error) {
	command := p.Getenv(envCommand)
	if command == "VERSION" {
		return supported{protocol, Versions}, nil
	}
	op, ok := operations[command]
	if !ok {
		return nil, coded(codeEnvironment, specs.Invalid(envCommand, command, "ADD, DEL, CHECK, STATUS, GC or VERSION"))
	}
	c, err := p.readCall(op, data)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(c.Version, command, op); err != nil {
		return nil, err
	}
	return op.do(p, ctx, c)
}

// supported is the result of VERSION.
type supported struct {
	CNIVersion        string   `json:"cniVersion"`
	SupportedVersions []string `json:"supportedVersions"`
}

func checkVersion(protocol, command string, op operation) error {
	if !slices.Contains(Versions, protocol) {
		return coded(codeVersion, specs.Invalid("cniVersion", protocol, "one of %q", Versions))
	}
	if has, err := version.GreaterThanOrEqualTo(protocol, op.since); err != nil || !has {
		return coded(codeVersion, specs.Invalid("cniVersion", protocol, "%s or newer for %s", op.since, command))
	}
	return nil
}

func (p *Plugin) readConfiguration(ctx context.Context) ([]byte, error) {
	data, err := door.ReadRequest(ctx, p.Stdin, specs.MaxCNI)
	if err != nil {
		return nil, coded(codeIO, err)
	}
	return data, nil
}

func (p *Plugin) newHook() *hook.Hook {
	return &hook.Hook{Dirs: p.Dirs, Store: p.Store, Log: p.Log, Step: p.Step,
		Interruptible: p.Interruptible, StartProber: p.StartProber}
}
