package nri

import (
	"context"
	"fmt"

	"github.com/containerd/nri/pkg/api"

	"berth/internal/state"
	"berth/specs"
)

// CreateContainer adds [StatusAnnotation] to the containers of an attached pod. If the
// pod's sandbox was started while this plugin was away, or is one that RunPodSandbox could not
// refuse, the pod is attached now, unless a container of it runs: that one started without the
// requested interface, and would get one that it does not expect. Then the new container is refused.
func (p *Plugin) CreateContainer(ctx context.Context, pod *api.PodSandbox,
	c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	if !hasAnnotations(pod) {
		return nil, nil, nil
	}
	p.working.RLock()
	defer p.working.RUnlock()
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	all, err := p.podAttachments(ctx, pod)
	if err == nil && len(all) == 0 {
		all, err = p.attachLate(ctx, pod)
	}
	if err != nil {
		p.podLogger(pod).Error("container refused", "container", c.GetName(), "error", err)
		return nil, nil, fmt.Errorf("berth: %w", err)
	}
	p.pods.setRuns(pod.GetId(), c.GetId(), false)
	adjust, err := adjustmentFor(all, c)
	if err != nil {
		return nil, nil, fmt.Errorf("berth: %s of pod %q: %w", StatusAnnotation, pod.GetName(), err)
	}
	return adjust, nil, nil
}

// attachLate attaches a pod whose sandbox has no interface of berth's.
func (p *Plugin) attachLate(ctx context.Context, pod *api.PodSandbox) ([]*state.Attachment, error) {
	if p.pods.hasRunning(pod.GetId()) {
		return nil, fmt.Errorf("pod %q runs without the interfaces that its annotations request, because its sandbox was "+
			"started without berth; "+
			"delete the pod, so that it is created again", pod.GetNamespace()+"/"+pod.GetName())
	}
	p.podLogger(pod).Info("its sandbox has no interface of berth's, and no container of it runs: it is attached now")
	return p.attachPod(ctx, pod)
}

// adjustmentFor sets [StatusAnnotation], unless the container has it already: then a second
// instance of this plugin has set it, and the runtime refuses a container if two plugins
// change one annotation.
func adjustmentFor(all []*state.Attachment, c *api.Container) (*api.ContainerAdjustment, error) {
	if len(all) == 0 || hasStatus(c.GetAnnotations()[StatusAnnotation], all) {
		return nil, nil
	}
	text, err := statusOf(all)
	if err != nil {
		return nil, err
	}
	adjust := &api.ContainerAdjustment{}
	adjust.AddAnnotation(StatusAnnotation, text)
	return adjust, nil
}

// StartContainer records that a container runs.
func (p *Plugin) StartContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	p.pods.setRuns(pod.GetId(), c.GetId(), true)
	return nil
}

// StopContainer records that a container has ended. Its pod may have ended too.
func (p *Plugin) StopContainer(_ context.Context, pod *api.PodSandbox,
	c *api.Container) ([]*api.ContainerUpdate, error) {
	p.pods.setRuns(pod.GetId(), c.GetId(), false)
	if hasAnnotations(pod) {
		p.sweepSoon()
	}
	return nil, nil
}

// RemoveContainer releases a pod with its last container if the runtime does not report the
// end of its sandbox. If another container follows, the pod is attached again.
func (p *Plugin) RemoveContainer(ctx context.Context, pod *api.PodSandbox, c *api.Container) error {
	if !p.pods.containerRemoved(pod.GetId(), c.GetId()) || !hasAnnotations(pod) {
		return nil
	}
	return p.StopPodSandbox(ctx, pod)
}

// podAttachments returns the attachments of a pod.
func (p *Plugin) podAttachments(ctx context.Context, pod *api.PodSandbox) (all []*state.Attachment, err error) {
	err = p.Store.View(ctx, func(tx *state.Tx) error {
		of, err := tx.OfContainer(pod.GetId())
		for _, a := range of {
			if a.Phase == specs.PhaseAttached {
				all = append(all, a)
			}
		}
		return err
	})
	return all, err
}
