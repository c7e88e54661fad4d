//go:build !hook

package bpf

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"

	"berth/bpf/sys"
)

// DefaultEndpoints is the default of the maximum number of endpoints.
const DefaultEndpoints = 1024

// parentsMax bounds the parents; each also takes an entry among the endpoints.
const parentsMax = 1024

// vlansMax bounds the VLANs that have a sub-interface, on all trunks together.
const vlansMax = 16384

// addressesPer is the average number of addresses of an endpoint; parentsMax more are left
// for the host's.
const addressesPer = 3

// sourcesMin is the least number of MACs for which the lists of endpoints in source mode
// have room.
const sourcesMin = 8192

// Options configure the loading of the datapath.
type Options struct {
	// MaxEndpoints is the number at once; 0 means DefaultEndpoints. If pinned maps have room
	// for fewer, larger ones replace them, with their content; those for more stay.
	MaxEndpoints uint32
	Attach       string // "auto" (also ""), "tcx" or "clsact"
}

// Load creates the maps under bpffs, or adopts those that are pinned there with their
// content, and loads the programs. Attachments of an earlier run keep its programs until
// Attach replaces them; pinned links whose interface is gone are removed.
//
// Maps of an older layout, or smaller ones, are replaced: entries are copied, all programs
// swapped, and the old counts then kept as the base of the new ones. If the process is
// killed meanwhile, nothing is lost: the next one continues. Register the endpoints again
// after Load, as a hook may have registered one in the old maps. The error wraps
// [ErrNotBPFFS], [ErrUnsafe], ebpf.ErrMapIncompatible, or *ebpf.VerifierError, which prints
// the verifier's log with %+v.
func Load(bpffs string, o Options) (*Datapath, error) {
	return loadWith(bpffs, o, constants{
		netnsHelper: features.HaveProgramHelper(ebpf.SchedCLS, asm.FnGetNetnsCookie) == nil, sockets: true,
	})
}

// constants are set in the programs when they are loaded.
type constants struct {
	netnsHelper bool // whether the kernel has the helper that returns the namespace of a frame's sender
	sockets     bool // whether frames may have one; false for measurements
	noQuick     bool // whether the good path is off; true for tests that compare
	noCast      bool // whether the programs do without bpf_rdonly_cast, as on 6.1; true for tests
	noTypes     bool // whether the programs do without the kernel's BTF; true for tests
}

// loadWith is Load with constants that may differ from the kernel's.
func loadWith(bpffs string, o Options, c constants) (*Datapath, error) {
	if err := checkAttach(o.Attach); err != nil {
		return nil, err
	}
	p := pinsUnder(bpffs)
	for _, do := range []func() error{p.checkDirectories, p.adoptVersion, p.makeDirectories} {
		if err := do(); err != nil {
			return nil, err
		}
	}
	cookie, err := netnsCookie()
	if err != nil {
		return nil, err
	}
	objects, err := loadObjects(p, o, c)
	if err != nil {
		return nil, err
	}
	tc, devices, err := openNetlink()
	if err != nil {
		return nil, errors.Join(err, objects.Close())
	}
	maps, err := objects.takeMaps(p)
	if err != nil {
		tc.Close()
		devices.Close()
		return nil, errors.Join(err, objects.Close())
	}
	d := &Datapath{
		pins: p, maps: maps, tc: tc, devices: devices, attach: o.Attach, cookie: cookie, shims: make(map[int]bool),
		ingress: objects.BerthIngress, egress: objects.BerthEgress, sibling: objects.BerthSibling,
		receiver: objects.BerthReceiver, guard: objects.BerthGuard, shim: objects.BerthShim, owner: objects.BerthOwner,
		noSibling: objects.noSibling,
	}
	d.maps.searchOwner = ownerSearch(objects.BerthOwner)
	if err := d.takeMapsOver(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// takeMapsOver makes the pinned maps, links and programs those of a new Datapath.
func (d *Datapath) takeMapsOver() error {
	d.maps.owned = true
	for _, do := range []func() error{
		d.maps.startDrops, d.takeOver, d.sweepStale, d.pinPrograms, d.updateInsides, d.maps.startEpochs,
		d.maps.startViolations, d.maps.openRest,
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// loadObjects loads maps and programs into the kernel. If the pinned maps have another
// layout or are too small, new ones are in their place when it returns, and the counts of
// the old ones are still to be taken over.
func loadObjects(p pins, o Options, c constants) (*loaded, error) {
	spec, err := loadDatapath()
	if err != nil {
		return nil, fmt.Errorf("read datapath object: %w", err)
	}
	err = errors.Join(spec.Variables[datapathVarHaveNetnsCookie].Set(c.netnsHelper),
		spec.Variables[datapathVarHaveSockets].Set(c.sockets),
		spec.Variables[datapathVarHaveQuick].Set(!c.noQuick))
	if err != nil {
		return nil, fmt.Errorf("set datapath constants: %w", err)
	}
	m, err := prepareMigration(p, spec, o.MaxEndpoints)
	if err != nil {
		return nil, err
	}
	shift := uint32(64 - bits.Len32(spec.Maps[mapPlaces].MaxEntries-1))
	if err := spec.Variables[datapathVarTableShift].Set(shift); err != nil {
		return nil, fmt.Errorf("set datapath constants: %w", err)
	}
	objects, err := assignObjects(spec, m.into, c)
	if err != nil {
		return nil, fmt.Errorf("load datapath: %w", err)
	}
	if err := m.replaceMaps(); err != nil {
		return nil, errors.Join(err, objects.Close())
	}
	return objects, nil
}

// loaded holds the objects in the kernel.
type loaded struct {
	datapathObjects
	noSibling error // why the sibling program does nothing; nil if it counts
}

// assignObjects loads the objects. The sibling program needs more of the kernel than the others:
// if it cannot be loaded, they are loaded with a replacement that passes every frame. The
// others then do without the kernel's BTF, which they need to find headers inside tunnels
// and the interfaces of a namespace.
func assignObjects(spec *ebpf.CollectionSpec, into pins, c constants) (*loaded, error) {
	cast, noSibling := knowsInterfaces()
	c.noCast = c.noCast || !cast
	if c.noTypes {
		noSibling = errors.New("the programs are loaded without the kernel's BTF")
	}
	if noSibling == nil {
		l, err := assignWith(spec, into, c)
		if err == nil {
			return l, nil
		}
		noSibling = fmt.Errorf("the kernel refuses the sibling program: %w", err)
	}
	return assignWithout(spec, into, noSibling)
}

// assignWith loads the objects with the kernel's BTF, with bpf_rdonly_cast if the kernel accepts it.
func assignWith(spec *ebpf.CollectionSpec, into pins, c constants) (*loaded, error) {
	if !c.noCast {
		if l, err := loadInto(spec.Copy(), into, nil, nil); err == nil {
			return l, nil
		}
	}
	withoutCast(spec)
	return loadInto(spec, into, nil, nil)
}

// assignWithout loads the objects with a sibling program and a guard program that pass every
// frame, and without the kernel's BTF. noSibling is the reason.
func assignWithout(spec *ebpf.CollectionSpec, into pins, noSibling error) (*loaded, error) {
	types, err := noTypes()
	if err != nil {
		return nil, err
	}
	withoutCast(spec)
	for _, name := range []string{progSibling, progGuard} {
		spec.Programs[name].Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}
	}
	return loadInto(spec, into, noSibling, types)
}

// loadInto loads the objects, with the kernel's BTF or, if types is not nil, with types.
func loadInto(spec *ebpf.CollectionSpec, into pins, noSibling error, types *btf.Spec) (*loaded, error) {
	if err := spec.Variables[datapathVarHaveKernelTypes].Set(types == nil); err != nil {
		return nil, fmt.Errorf("set datapath constants: %w", err)
	}
	options := &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: into.dir}}
	options.Programs.KernelTypes = types
	l := &loaded{noSibling: noSibling}
	return l, spec.LoadAndAssign(&l.datapathObjects, options)
}

// noTypes returns an empty BTF: reads of the kernel's types stay in the programs as
// instructions that never run.
func noTypes() (*btf.Spec, error) {
	b, err := btf.NewBuilder([]btf.Type{&btf.Int{Name: "int", Size: 4}}, nil)
	if err != nil {
		return nil, fmt.Errorf("make an empty type description: %w", err)
	}
	types, err := b.Spec()
	if err != nil {
		return nil, fmt.Errorf("make an empty type description: %w", err)
	}
	return types, nil
}

// mapSizes returns the number of entries of each map for a number of endpoints.
func mapSizes(endpoints uint32) map[string]uint32 {
	if endpoints == 0 {
		endpoints = DefaultEndpoints
	}
	insides := endpoints
	if !sys.HasTCX() {
		insides *= 2 // no link notes the program on ingress
	}
	return map[string]uint32{
		mapCounters:   endpoints + 1,
		mapViolations: endpoints + 1,
		mapStates:     endpoints + 1,
		mapPlaces:     placesFor(endpoints + parentsMax),
		mapEndpoints:  endpoints + parentsMax,
		mapNamespaces: endpoints,
		mapAddresses:  endpoints*addressesPer + parentsMax,
		mapSources:    max(endpoints, sourcesMin),
		mapInsides:    insides,
		mapVLANs:      vlansMax,
		mapParents:    parentsMax,
	}
}

// takeMaps takes the maps over. They are open in the result, and closed in o.
func (o *datapathObjects) takeMaps(p pins) (*Maps, error) {
	m := &Maps{pins: p, open: make(map[string]*sys.Map)}
	for name, one := range map[string]*ebpf.Map{
		mapPlaces: o.Places, mapEndpoints: o.Endpoints, mapNamespaces: o.Namespaces, mapAddresses: o.Addresses,
		mapSources: o.Sources, mapVLANs: o.Vlans, mapInsides: o.Insides,
		mapFilter: o.Filter, mapParents: o.Parents, mapCounters: o.Counters, mapViolations: o.Violations,
		mapEvents: o.Events, mapLost: o.Lost,
		mapUnknown: o.Unknown, mapEpoch: o.Epoch, mapStates: o.States, mapPrints: o.Prints,
		mapDrops: o.Drops, mapDropped: o.DroppedFrames,
	} {
		own, err := sys.CloneMap(one.FD())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("map %q: %w", name, err), m.Close())
		}
		m.open[name] = own
	}
	if err := o.datapathMaps.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("close maps: %w", err), m.Close())
	}
	return m, nil
}

// DetachPinned removes the programs from every parent if no agent runs, as
// Datapath.DetachAll does. The error wraps fs.ErrNotExist if nothing is pinned.
func DetachPinned(bpffs string) error { return withPinned(bpffs, (*Datapath).DetachAll) }

// PurgePinned is DetachPinned, and also removes all pinned objects, with their counts.
func PurgePinned(bpffs string) error { return withPinned(bpffs, (*Datapath).Purge) }

// withPinned opens the pinned objects without loading programs.
func withPinned(bpffs string, do func(*Datapath) error) error {
	maps, err := Open(bpffs)
	if err != nil {
		return err
	}
	tc, err := openTC()
	if err != nil {
		return errors.Join(err, maps.Close())
	}
	d := &Datapath{pins: maps.pins, maps: maps, tc: tc}
	return errors.Join(do(d), d.Close())
}

// Purge detaches everywhere and removes all pinned objects, with their counts.
func (d *Datapath) Purge() error {
	return errors.Join(d.DetachAll(), d.pins.detachInsides(), d.pins.nextDirectory().removeDirectories(),
		d.pins.removeDirectories())
}

// Resume lets hooks attach to parents again after DetachAll.
func (d *Datapath) Resume() error {
	d.withheld = false
	return d.pinPrograms()
}
