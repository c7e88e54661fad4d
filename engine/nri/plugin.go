package nri

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Name is what the plugin registers as, and what a runtime's required_plugins
// asks for.
const Name = "berth"

// Plugin answers a runtime's requests. The runtime makes them one after the
// other, whatever the pods; the methods may be called concurrently all the same.
type Plugin struct {
	Dirs  config.Dirs
	Store *state.Store
	Log   *slog.Logger

	// Step, where set, is the Step of every hook. Tests stop and fail with it.
	Step func(name string) error

	working sync.RWMutex // read: a request is being answered
}

// Configure is the runtime's first request. There is nothing to configure in
// the runtime's own files: a text from there would be ignored, so it is refused.
func (p *Plugin) Configure(_ context.Context, text, name, version string) (api.EventMask, error) {
	if strings.TrimSpace(text) != "" {
		return 0, specs.Invalid("NRI configuration", text, "none: berth's settings are in %s", p.Dirs.Config)
	}
	p.Log.Info("connected", "runtime", name, "version", version)
	return 0, nil // all that there is a method for
}

// RunPodSandbox attaches a pod that asks for it. Its error is the pod's.
func (p *Plugin) RunPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	if !asks(pod) {
		return nil // whatever state berth's files are in
	}
	p.working.RLock()
	defer p.working.RUnlock()
	ctx, cancel := within(ctx)
	defer cancel()
	_, err := p.attach(ctx, pod)
	return err
}

// attach gives a pod what its annotations ask for.
func (p *Plugin) attach(ctx context.Context, pod *api.PodSandbox) ([]*state.Attachment, error) {
	log := p.of(pod)
	var all []*state.Attachment
	s, asked, err := sandboxOf(pod)
	if err == nil {
		all, err = p.hook(log).Attach(ctx, s, asked)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	if err != nil {
		log.Error("not attached", "error", err)
		return nil, fmt.Errorf("berth: %w", err)
	}
	for _, a := range all {
		log.Info("attached", "network", a.Network, "interface", a.Interface, "addresses", a.Addresses, "mac", a.MAC, "parent", a.Parent)
	}
	return all, nil
}

// StopPodSandbox releases a pod. That something resists is no reason to keep
// the pod: the removal, the next connection and the agent try again.
func (p *Plugin) StopPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	p.working.RLock()
	defer p.working.RUnlock()
	ctx, cancel := within(ctx)
	defer cancel()
	log := p.of(pod)
	if err := p.hook(log).End(ctx, pod.GetId()); err != nil {
		log.Error("not released", "error", err)
	}
	return nil
}

// RemovePodSandbox is StopPodSandbox for a pod that came to no such thing.
func (p *Plugin) RemovePodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	return p.StopPodSandbox(ctx, pod)
}

// CreateContainer refuses a container of a pod that asks for networks and was
// started while nobody listened: without them it would run as if it had not
// asked. Others get [StatusAnnotation].
func (p *Plugin) CreateContainer(ctx context.Context, pod *api.PodSandbox, _ *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	if !asks(pod) {
		return nil, nil, nil
	}
	p.working.RLock()
	defer p.working.RUnlock()
	all, err := p.attached(ctx, pod)
	if err == nil && len(all) == 0 {
		err = notAttached(pod)
	}
	if err != nil {
		p.of(pod).Error("container refused", "error", err)
		return nil, nil, fmt.Errorf("berth: %w", err)
	}
	text, err := statusOf(all)
	if err != nil {
		return nil, nil, fmt.Errorf("berth: %s of pod %q: %w", StatusAnnotation, pod.GetName(), err)
	}
	adjust := &api.ContainerAdjustment{}
	adjust.AddAnnotation(StatusAnnotation, text)
	return adjust, nil, nil
}

// Synchronize is told of all pods there are when the connection is new. What
// ended meanwhile is released: its namespace is dead. A pod that runs without
// what it asks for is left as it is and reported.
func (p *Plugin) Synchronize(ctx context.Context, pods []*api.PodSandbox, _ []*api.Container) ([]*api.ContainerUpdate, error) {
	p.working.RLock()
	defer p.working.RUnlock()
	ctx, cancel := within(ctx)
	defer cancel()
	p.collect(ctx)
	for _, pod := range pods {
		if !asks(pod) {
			continue
		}
		if all, err := p.attached(ctx, pod); err != nil || len(all) == 0 {
			p.of(pod).Warn("runs without what it asks for", "error", err, "remedy", "delete the pod, so that it is made again")
		}
	}
	return nil, nil
}

// collectBound is how long a new connection may look for what is left.
const collectBound = time.Second

func (p *Plugin) collect(ctx context.Context) {
	host, err := network.NewHandle()
	if err != nil {
		p.Log.Warn("reclaim what is left of pods", "error", err)
		return
	}
	defer host.Close()
	r := &release.Releaser{Store: p.Store, BPFFS: p.Dirs.BPFFS, Host: host, Log: p.Log}
	report, err := r.Collect(ctx, collectBound)
	if err != nil {
		p.Log.Warn("reclaim what is left of pods", "error", err)
	}
	if len(report.Released) > 0 {
		p.Log.Info("reclaimed", "attachments", report.Released)
	}
}

// attached returns what a pod has.
func (p *Plugin) attached(ctx context.Context, pod *api.PodSandbox) (all []*state.Attachment, err error) {
	err = p.Store.View(ctx, func(tx *state.Tx) error {
		all, err = tx.OfContainer(pod.GetId())
		return err
	})
	return slices.DeleteFunc(all, func(a *state.Attachment) bool { return a.Phase != specs.PhaseAttached }), err
}

func notAttached(pod *api.PodSandbox) error {
	return specs.Invalid("pod", pod.GetNamespace()+"/"+pod.GetName(),
		"one that has what its annotations ask for: its sandbox was started without berth (delete the pod, so that it is made again)")
}

func (p *Plugin) hook(log *slog.Logger) *hook.Hook {
	return &hook.Hook{Dirs: p.Dirs, Store: p.Store, Log: log, Step: p.Step}
}

func (p *Plugin) of(pod *api.PodSandbox) *slog.Logger {
	return p.Log.With("pod", pod.GetNamespace()+"/"+pod.GetName(), "sandbox", pod.GetId())
}
