package nri

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/nri/pkg/api"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/engineversion"
	"berth/internal/state"
	"berth/specs"
)

// Name is the plugin's registered name, which a runtime's required_plugins lists.
const Name = "berth"

// Plugin answers a runtime's requests. The runtime sends them one after the other, for all
// pods; the methods may still be called concurrently.
type Plugin struct {
	Dirs  config.Dirs
	Store *state.Store
	Log   *slog.Logger

	// Step, if set, is the Step of every hook. Tests stop and fail with it.
	Step func(name string) error

	// SweepPeriod is the interval of the sweep for pods that have ended; 0 means 10 s.
	SweepPeriod time.Duration

	working sync.RWMutex // locked for reading while a request is answered
	probers sync.WaitGroup
	pods    pods
	once    sync.Once // of wake
	wake    chan struct{}

	keepsRefused atomic.Bool // whether the runtime keeps the sandboxes of refused pods
}

// containerd is the name by which containerd registers (version/version.go of containerd).
const containerd = "containerd"

// Configure is the runtime's first request. The plugin has no settings in the runtime's own
// files: a text from there would be ignored, so it is refused.
func (p *Plugin) Configure(ctx context.Context, text, name, version string) (api.EventMask, error) {
	if ctx.Value(endedKey{}) != nil {
		return 0, nil
	}
	if strings.TrimSpace(text) != "" {
		return 0, specs.Invalid("NRI configuration", text, "no text, because berth's settings are in %s", p.Dirs.Config)
	}
	v, err := engineversion.Parse(version)
	p.keepsRefused.Store(name == containerd && err == nil && v.KeepsRefused())
	p.Log.Info("connected", "runtime", name, "version", version)
	return 0, nil // every event that has a method
}

// RunPodSandbox attaches a pod that requests it. If it returns an error, the pod fails. For a runtime
// that keeps refused sandboxes it returns none: the pod has no interface then, so CreateContainer tries
// again, and refuses the container for as long as the reason holds.
func (p *Plugin) RunPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	if !hasAnnotations(pod) {
		return nil // regardless of berth's files
	}
	p.working.RLock()
	defer p.working.RUnlock()
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	if _, err := p.attachPod(ctx, pod); err != nil {
		if !p.keepsRefused.Load() {
			return fmt.Errorf("berth: %w", err)
		}
		p.podLogger(pod).Warn("its sandbox stays, and its containers are refused, because this containerd cannot remove " +
			"a refused sandbox; install containerd 2.2.6, 2.3.3 or newer")
	}
	p.pods.sandboxStarted(pod.GetId())
	return nil
}

// attachPod gives a pod the interfaces that its annotations request.
func (p *Plugin) attachPod(ctx context.Context, pod *api.PodSandbox) ([]*state.Attachment, error) {
	log := p.podLogger(pod)
	var all []*state.Attachment
	s, asked, err := sandboxOf(pod)
	if err == nil {
		all, err = p.newHook(log).Attach(ctx, s, asked)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	if err != nil {
		log.Error("not attached", "error", err)
		return nil, err
	}
	for _, a := range all {
		log.Info("attached", "network", a.Network, "interface", a.Interface, "addresses", a.Addresses, "mac", a.MAC,
			"parent", a.Parent)
	}
	return all, nil
}

// StopPodSandbox releases a pod. A failure does not keep the pod: the removal, the sweep
// and the agent try again.
func (p *Plugin) StopPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	p.working.RLock()
	defer p.working.RUnlock()
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	p.pods.sandboxEnded(pod.GetId())
	log := p.podLogger(pod)
	if err := p.newHook(log).End(ctx, pod.GetId()); err != nil {
		log.Error("not released", "error", err)
	}
	return nil
}

// RemovePodSandbox releases a pod for which StopPodSandbox was never called.
func (p *Plugin) RemovePodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	return p.StopPodSandbox(ctx, pod)
}

// Synchronize gets all existing pods and containers when the connection is new. It releases
// the pods that ended meanwhile: their namespaces are dead. It only reports a pod that runs
// without the requested interfaces.
func (p *Plugin) Synchronize(ctx context.Context, pods []*api.PodSandbox,
	containers []*api.Container) ([]*api.ContainerUpdate, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	p.pods.resetTo(containers)
	if err := p.collectEnded(ctx); err != nil {
		p.Log.Warn("pods that have ended are not released", "error", err)
	}
	p.working.RLock()
	defer p.working.RUnlock()
	for _, pod := range pods {
		if !hasAnnotations(pod) {
			continue
		}
		all, err := p.podAttachments(ctx, pod)
		switch {
		case err == nil && len(all) > 0:
		case err == nil && !p.pods.hasRunning(pod.GetId()):
			p.podLogger(pod).Info("its sandbox has no interface of berth's yet; it is attached with its first container")
		default:
			p.podLogger(pod).Warn("pod runs without the interfaces that it requests", "error", err, "remedy",
				"delete the pod, so that it is created again")
		}
	}
	return nil, nil
}

func (p *Plugin) newHook(log *slog.Logger) *hook.Hook {
	return &hook.Hook{Dirs: p.Dirs, Store: p.Store, Log: log, Step: p.Step, StartProber: p.probeAhead}
}

// probeAhead probes for the addresses of the next pods beside the requests of the runtime.
// It ends by itself, seconds later at most.
func (p *Plugin) probeAhead(all []hook.ProbeRequest) error {
	p.probers.Go(func() {
		h := &hook.Hook{Dirs: p.Dirs, Store: p.Store, Log: p.Log}
		if err := h.ProbeAhead(context.Background(), all); err != nil {
			p.Log.Info("probe ahead", "error", err)
		}
	})
	return nil
}

func (p *Plugin) podLogger(pod *api.PodSandbox) *slog.Logger {
	return p.Log.With("pod", pod.GetNamespace()+"/"+pod.GetName(), "sandbox", pod.GetId())
}
