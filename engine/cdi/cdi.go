// Package cdi writes berth's networks as devices of the Container Device Interface: one
// device per network, whose hooks give the container an interface there. An engine needs no
// configuration of its own for it.
//
// [Generate] returns the text of the file of devices.
//
// It decides nothing about networks, and runs no hook. It imports engine/entry,
// hook, internal/config and specs.
package cdi

import (
	"encoding/json"
	"fmt"

	cdilib "tags.cncf.io/container-device-interface/pkg/cdi"
	"tags.cncf.io/container-device-interface/pkg/parser"
	cdispecs "tags.cncf.io/container-device-interface/specs-go"

	"berth/engine/entry"
	"berth/hook"
	"berth/internal/config"
	"berth/specs"
)

// Kind is the vendor and class of the devices: berth/network=NAME is one.
const Kind = "berth/network"

// DefaultDir is the directory of static device files; File is berth's file there.
const (
	DefaultDir = "/etc/cdi"
	File       = "berth.json"
)

// Spec returns the devices of networks, which run the hook at path, in the oldest version
// of the format that has the features used. It leaves out names that CDI does not allow
// (they must end in a letter or digit), and returns them.
func Spec(networks []string, path string, dirs config.Dirs) (*cdispecs.Spec, []string, error) {
	spec := &cdispecs.Spec{Kind: Kind}
	var left []string
	for _, name := range networks {
		if specs.CheckNetworkName(name) != nil || parser.ValidateDeviceName(name) != nil {
			left = append(left, name)
			continue
		}
		spec.Devices = append(spec.Devices, cdispecs.Device{Name: name,
			ContainerEdits: cdispecs.ContainerEdits{Hooks: []*cdispecs.Hook{
				stageHook(hook.CreateRuntime, path, dirs, specs.ArgumentNetwork, name),
				stageHook(hook.Poststop, path, dirs),
			}}})
	}
	version, err := cdispecs.MinimumRequiredVersion(spec)
	spec.Version = version
	return spec, left, err
}

func stageHook(name, path string, dirs config.Dirs, args ...string) *cdispecs.Hook {
	h := entry.Hook(path, dirs, append(args, name)...)
	return &cdispecs.Hook{HookName: name, Path: h.Path, Args: h.Args, Env: h.Env, Timeout: h.Timeout}
}

// Encode validates devices and returns the text of their file, or "" if there are none, as
// a file without a device is not allowed.
func Encode(spec *cdispecs.Spec) (string, error) {
	if len(spec.Devices) == 0 {
		return "", nil
	}
	if err := validateDevices(spec); err != nil {
		return "", fmt.Errorf("CDI devices: %w", err)
	}
	data, err := json.MarshalIndent(spec, "", "  ")
	return string(data) + "\n", err
}

// validateDevices checks devices by the library's rules, which engines use too.
func validateDevices(spec *cdispecs.Spec) error {
	vendor, class := parser.ParseQualifier(spec.Kind)
	for _, err := range []error{
		cdispecs.ValidateVersion(spec), parser.ValidateVendorName(vendor), parser.ValidateClassName(class),
	} {
		if err != nil {
			return err
		}
	}
	for i := range spec.Devices {
		d := &spec.Devices[i]
		if err := parser.ValidateDeviceName(d.Name); err != nil {
			return err
		}
		if err := (&cdilib.ContainerEdits{ContainerEdits: &d.ContainerEdits}).Validate(); err != nil {
			return fmt.Errorf("device %q: %w", d.Name, err)
		}
	}
	return nil
}

// Generate returns the text of the file for networks, or "" if there are none, and the
// names that it cannot contain.
func Generate(networks []string, path string, dirs config.Dirs) (text string, left []string, err error) {
	spec, left, err := Spec(networks, path, dirs)
	if err != nil {
		return "", nil, err
	}
	text, err = Encode(spec)
	return text, left, err
}
