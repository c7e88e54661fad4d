package nri

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
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

	// SweepPeriod is the time between two looks for pods that have ended; 0 is 10 s.
	SweepPeriod time.Duration

	working sync.RWMutex // read: a request is being answered
	pods    pods
	once    sync.Once // of wake
	wake    chan struct{}
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
	if _, err := p.attach(ctx, pod); err != nil {
		return fmt.Errorf("berth: %w", err)
	}
	p.pods.started(pod.GetId())
	return nil
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
		return nil, err
	}
	for _, a := range all {
		log.Info("attached", "network", a.Network, "interface", a.Interface, "addresses", a.Addresses, "mac", a.MAC, "parent", a.Parent)
	}
	return all, nil
}

// StopPodSandbox releases a pod. A failure is no reason to keep the pod: the
// removal, the sweep and the agent try again.
func (p *Plugin) StopPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	p.working.RLock()
	defer p.working.RUnlock()
	ctx, cancel := within(ctx)
	defer cancel()
	p.pods.ended(pod.GetId())
	log := p.of(pod)
	if err := p.hook(log).End(ctx, pod.GetId()); err != nil {
		log.Error("not released", "error", err)
	}
	return nil
}

// RemovePodSandbox releases a pod for which StopPodSandbox was never called.
func (p *Plugin) RemovePodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	return p.StopPodSandbox(ctx, pod)
}

// Synchronize gets all pods and containers there are when the connection is new.
// The pods that ended meanwhile are released: their namespaces are dead. A pod
// that runs without what it asks for is left as it is and reported.
func (p *Plugin) Synchronize(ctx context.Context, pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	p.pods.reset(containers)
	if err := p.collect(ctx); err != nil {
		p.Log.Warn("pods that have ended are not released", "error", err)
	}
	p.working.RLock()
	defer p.working.RUnlock()
	for _, pod := range pods {
		if !asks(pod) {
			continue
		}
		all, err := p.attached(ctx, pod)
		switch {
		case err == nil && len(all) > 0:
		case err == nil && !p.pods.runs(pod.GetId()):
			p.of(pod).Info("its sandbox was started without berth; it is attached with its first container")
		default:
			p.of(pod).Warn("runs without what it asks for", "error", err, "remedy", "delete the pod, so that it is made again")
		}
	}
	return nil, nil
}

func (p *Plugin) hook(log *slog.Logger) *hook.Hook {
	return &hook.Hook{Dirs: p.Dirs, Store: p.Store, Log: log, Step: p.Step}
}

func (p *Plugin) of(pod *api.PodSandbox) *slog.Logger {
	return p.Log.With("pod", pod.GetNamespace()+"/"+pod.GetName(), "sandbox", pod.GetId())
}
