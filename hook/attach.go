package hook

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Attach gives a sandbox all interfaces that it selects, or returns an error and leaves none
// that it made. Every caller uses it: the OCI hook, the command line, NRI, CNI, netavark's plugin
// and docker's driver.
//
// It returns the attachments in the order of the selections. If the sandbox already has an
// attachment by the same selection, Attach returns that one: Attach can be repeated, and
// containers that share a namespace share its attachments. A door (CNI, podman, docker) gets a new
// interface each time.
func (h *Hook) Attach(ctx context.Context, s Sandbox, selections []specs.Selection) ([]*state.Attachment, error) {
	if err := checkID(s.ID); err != nil || len(selections) == 0 {
		return nil, err
	}
	cfg, err := config.Load(h.Dirs.Config)
	if err != nil {
		return nil, err
	}
	host, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	h.host = host
	requests, err := h.resolveRequests(ctx, &s, selections, &cfg)
	if err != nil {
		return nil, err
	}
	c, err := h.openContainer(ctx, &s)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if s.Admin {
		if err := h.refuseSecond(ctx, c, requests); err != nil {
			return nil, err
		}
	}
	all, err := h.attachContainer(ctx, c, requests, &cfg)
	if err != nil {
		return nil, err
	}
	h.logCollected(h.newReleaser().CollectSample(ctx, h.sample, collectBound))
	return all, nil
}

// resolveRequests returns the requests of a sandbox, once the parents of their networks exist.
func (h *Hook) resolveRequests(ctx context.Context, s *Sandbox, selections []specs.Selection,
	cfg *specs.Config) ([]Request, error) {
	requests, err := h.resolveSelections(s, selections, &cfg.Policy)
	if err != nil {
		return nil, err
	}
	if err := checkClustered(requests, cfg); err != nil {
		return nil, err
	}
	return requests, h.waitParents(ctx, requests)
}

// checkClustered refuses a network with a shared pool on a machine that is no node of a cluster.
func checkClustered(requests []Request, cfg *specs.Config) error {
	for _, r := range requests {
		if r.Net.Clustered() && !cfg.Cluster.Enabled() {
			return fmt.Errorf("network %q has ipam = \"cluster\", and berth.toml names no etcd; set etcd under [cluster]",
				r.Net.Name)
		}
	}
	return nil
}

// resolveSelections finds the network of every selection and checks each against the
// policy, unless an administrator asks.
func (h *Hook) resolveSelections(s *Sandbox, selections []specs.Selection, policy *specs.Policy) ([]Request, error) {
	if s.Admin {
		policy = nil
	} else if s.Reserved != "" {
		p := *policy
		p.StaticIPs, p.StaticMACs = true, true
		policy = &p
	}
	return Resolve(selections, policy, s.Namespace, h.lookupNetwork, h.parentNames)
}

func (h *Hook) lookupNetwork(name string) (*specs.Network, error) {
	return config.Network(h.Dirs.Config, name)
}

// parentNames returns the kernel's names of a parent on which an annotation
// defines a network.
func (h *Hook) parentNames(name string) (specs.ParentNames, error) {
	names, err := h.host.ParentNames(name)
	if err != nil {
		return names, fmt.Errorf("read the names of parent %q: %w", name, err)
	}
	return names, nil
}

// Allow returns an error if no container outside of Kubernetes may have an interface by a
// selection: its network does not exist, or the policy refuses the network or a request. It changes nothing.
func (h *Hook) Allow(s specs.Selection) error {
	cfg, err := config.Load(h.Dirs.Config)
	if err != nil {
		return err
	}
	if h.host, err = network.NewHandle(); err != nil {
		return err
	}
	defer h.host.Close()
	if _, err = allowedNetwork(&s, &cfg.Policy, "", h.lookupNetwork, h.parentNames); err == nil {
		err = cfg.Policy.AllowRequest(&s)
	}
	return s.At(err)
}

// refuseSecond refuses a second interface on a network that the container is
// already on, because an administrator who asks for one means the existing one.
// It also refuses an ID that is not among those recorded for the namespace,
// because no container with that ID would ever end and release the interface.
func (h *Hook) refuseSecond(ctx context.Context, c *container, requests []Request) error {
	return h.Store.View(ctx, func(tx *state.Tx) error {
		there, err := tx.InNamespace(c.cookie)
		for _, a := range there {
			if !slices.Contains(a.Containers, c.ids[0]) {
				return fmt.Errorf("container %q: that network namespace belongs to container %s; use its id and leave out --pid",
					c.ids[0], a.Containers[0])
			}
			for i := range requests {
				r := &requests[i]
				if a.Network == r.Network && a.Phase == specs.PhaseAttached && a.Selection != r.Text(1) {
					return fmt.Errorf("container %s is already on network %q (interface %s); disconnect it first: "+
						"berth network disconnect %[2]s %[1]s", c.ids[0], r.Network, a.Interface)
				}
			}
		}
		return err
	})
}

// attachContainer attaches a container while no other run works in its namespace: two
// containers of a pod may be started at once, and each must see the interfaces of
// the other. It retries once for each of these reasons: the facts have changed; an address, a MAC
// or a parent was held by a container that ended without a poststop; a shared pool had no
// address, and has got more.
func (h *Hook) attachContainer(ctx context.Context, c *container, requests []Request,
	cfg *specs.Config) ([]*state.Attachment, error) {
	unlock, err := h.Store.Hold(ctx, fmt.Sprintf("namespace %016x", c.cookie))
	if err != nil {
		return nil, fmt.Errorf("wait for another berth-hook in the network namespace of container %q: %w", c.ids[0], err)
	}
	defer unlock()
	all, err := h.tryAttach(ctx, c, requests, cfg)
	if errors.Is(err, errShareEnding) || errors.Is(err, errParentMoved) {
		all, err = h.tryAttach(ctx, c, requests, cfg)
	}
	if heldByOther(err) {
		report, collectErr := h.newReleaser().Collect(ctx, collectAll)
		if collectErr != nil {
			return nil, errors.Join(err, collectErr)
		}
		if len(report.Released) > 0 {
			all, err = h.tryAttach(ctx, c, requests, cfg)
		}
	}
	if h.growPool(ctx, err) {
		return h.tryAttach(ctx, c, requests, cfg)
	}
	return all, err
}

func heldByOther(err error) bool {
	var exhausted *lease.ExhaustedError
	var inUse *lease.InUseError
	var taken *network.SharingError
	return errors.As(err, &exhausted) || errors.As(err, &inUse) || errors.As(err, &taken)
}

func (h *Hook) tryAttach(ctx context.Context, c *container, requests []Request,
	cfg *specs.Config) ([]*state.Attachment, error) {
	facts, err := h.gatherFacts(ctx, c, requests)
	if err != nil {
		return nil, err
	}
	if facts.MayHaveMoved {
		if facts, err = h.rehomeRecords(ctx, c, requests, facts); err != nil {
			return nil, err
		}
	}
	if stale := staleRecords(facts); len(stale) > 0 {
		if err := h.reclaimStale(ctx, stale); err != nil {
			return nil, err
		}
		if facts, err = h.gatherFacts(ctx, c, requests); err != nil {
			return nil, err
		}
	}
	plan, err := MakePlan(requests, facts)
	if err != nil {
		return nil, err
	}
	if h.Interruptible != nil {
		ctx = h.Interruptible(ctx)
	}
	a := &attaching{Hook: h, container: c, slots: cfg.Agent.MaxEndpoints, attachKind: cfg.Agent.Attach, plan: plan,
		hostAddresses: facts.Host}
	defer a.releaseLocks()
	if err := a.runSteps(ctx); err != nil {
		return nil, errors.Join(err, a.undo.unwind(ctx))
	}
	a.probeCovered()
	return plan.requestedAttachments(a.records), nil
}

// rehomeRecords corrects the records of attachments whose parent came back with another
// index, and gathers the facts again if it corrected any.
func (h *Hook) rehomeRecords(ctx context.Context, c *container, requests []Request, facts *Facts) (*Facts, error) {
	shims := hostshim.Shims{Store: h.Store, Log: h.Log}
	if err := shims.FollowParents(ctx); err != nil {
		return nil, err
	}
	moved, err := h.newReleaser().Rehome(ctx)
	if err != nil || moved == 0 {
		return facts, err
	}
	return h.gatherFacts(ctx, c, requests)
}

// staleRecords returns the stale records of the namespace: those whose maker was
// killed, and those whose interface was deleted.
func staleRecords(f *Facts) []*state.Attachment {
	var stale []*state.Attachment
	for _, a := range f.Existing {
		if a.Phase != specs.PhaseEnded && (a.Phase == specs.PhaseAttaching || a.Leaving || !f.Links[a.Interface]) {
			stale = append(stale, a)
		}
	}
	return stale
}
