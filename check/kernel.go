package check

import (
	"errors"
	"fmt"

	"berth/network"
	"berth/specs"
)

// Kernel holds the kernel's support for berth's interfaces.
type Kernel struct {
	Release string // as uname -r prints it
	Old     error  // why berth cannot work with this version; nil if it can
	Drivers []Driver
}

// Driver is one kind of link in the kernel.
type Driver struct {
	Kind   string // rtnetlink's name: "macvlan", "ipvlan", "vlan"
	Known  bool   // whether the kernel has it now
	Err    error  // why that could not be read
	Module Module
}

// Module is the module of a driver on disk.
type Module struct {
	Name     string // "macvlan", "8021q"
	Loaded   bool   // as a module, not built in
	Builtin  bool   // whether modules.builtin lists it
	Loadable bool   // whether modules.dep lists it
	NoTree   bool   // whether there is no /lib/modules of this release
	Locked   bool   // whether the kernel loads no more modules (kernel.modules_disabled)
}

// options are the kernel's configuration options of the drivers.
var options = map[string]string{
	"macvlan": "CONFIG_MACVLAN", "ipvlan": "CONFIG_IPVLAN", "vlan": "CONFIG_VLAN_8021Q",
}

// vlanKind is rtnetlink's name of IEEE 802.1Q sub-interfaces.
const vlanKind = "vlan"

// judgeKernel adds a line for each driver. A missing one matters only if a network needs
// it. needs has a text on the networks that do.
func judgeKernel(r *report, k Kernel, needs map[string]string) {
	switch {
	case errors.Is(k.Old, network.ErrOldKernel):
		r.addFail("kernel", "install Linux "+network.LeastKernel+" or newer",
			"Linux %s: %v: no container with berth's annotations starts", k.Release, k.Old)
	case k.Old != nil:
		r.addWarn("kernel", "run it as root", "Linux %s, not checked: %v", k.Release, k.Old)
	default:
		r.addPass("kernel", "Linux %s", k.Release)
	}
	for _, d := range k.Drivers {
		judgeDriver(r, d, k.Release, needs[d.Kind])
	}
}

const unneeded = "no checked network needs it"

func judgeDriver(r *report, d Driver, release, neededBy string) {
	name := d.Module.Name
	switch {
	case d.Err != nil && neededBy == "":
		r.addPass(name, "not checked; %s", unneeded)
		return
	case d.Err != nil:
		r.addWarn(name, "run it as root", "not checked: %v", d.Err)
		return
	case d.Known && d.Module.Loaded:
		r.addPass(name, "loaded")
		return
	case d.Known:
		r.addPass(name, "built into the kernel")
		return
	case d.Module.Loadable && !d.Module.Locked:
		r.addPass(name, "a module, loaded when first used")
		return
	}
	message, remedy := missingDriver(d, release)
	if neededBy == "" {
		r.addPass(name, "%s; %s", message, unneeded)
		return
	}
	r.addFail(name, remedy, "%s; %s", message, neededBy)
}

// missingDriver returns why the kernel cannot use a driver, and the remedy.
func missingDriver(d Driver, release string) (message, remedy string) {
	m := d.Module
	switch {
	case m.Loadable && m.Locked:
		return "it is not loaded, and kernel.modules_disabled forbids loading it",
			fmt.Sprintf("list %s in /etc/modules-load.d and restart the machine; it must be loaded before "+
				"kernel.modules_disabled is set", m.Name)
	case m.NoTree:
		return fmt.Sprintf("it is not loaded, and /lib/modules/%s does not exist", release),
			fmt.Sprintf("restart the machine if its kernel was upgraded; else install this kernel's modules, or a kernel "+
				"with %s", options[d.Kind])
	}
	return "this kernel does not have it",
		fmt.Sprintf("install the package with the kernel's extra modules, or a kernel with %s", options[d.Kind])
}

// needsOf returns, for each kind of link, a text on the network that needs it.
func needsOf(networks []*specs.Network, onDemand map[string]bool) map[string]string {
	needs := make(map[string]string)
	note := func(kind, name string) {
		if needs[kind] == "" {
			needs[kind] = fmt.Sprintf("network %q needs it", name)
		}
	}
	for _, n := range networks {
		note(string(n.Driver), n.Name)
		if onDemand[n.Parent] {
			note(vlanKind, n.Name)
		}
	}
	if len(networks) == 0 {
		needs[string(specs.Macvlan)] = "it is the default driver of networks"
	}
	return needs
}
