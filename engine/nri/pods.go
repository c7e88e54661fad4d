package nri

import (
	"maps"
	"slices"
	"sync"

	"github.com/containerd/nri/pkg/api"
)

// pods tracks the containers of pods, by the events of one connection. It answers two
// questions that no single event does: whether a container of a pod runs, and whether the
// runtime will report the end of a sandbox. containerd reports it only for sandboxes that
// it has started itself since its own start.
type pods struct {
	mu sync.Mutex
	of map[string]*podState // by the ID of the sandbox
}

type podState struct {
	reported bool            // whether the sandbox was started on this connection
	runs     map[string]bool // by the ID of the container
}

// resetTo replaces the state with the containers that the runtime lists.
func (p *pods) resetTo(containers []*api.Container) {
	p.mu.Lock()
	p.of = nil
	p.mu.Unlock()
	for _, c := range containers {
		state := c.GetState()
		p.setRuns(c.GetPodSandboxId(), c.GetId(),
			state == api.ContainerState_CONTAINER_RUNNING || state == api.ContainerState_CONTAINER_PAUSED)
	}
}

// stateOf returns the state of a pod. The caller holds the lock.
func (p *pods) stateOf(id string) *podState {
	if p.of == nil {
		p.of = make(map[string]*podState)
	}
	if p.of[id] == nil {
		p.of[id] = &podState{runs: make(map[string]bool)}
	}
	return p.of[id]
}

// sandboxStarted records a sandbox whose end the runtime will report.
func (p *pods) sandboxStarted(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stateOf(id).reported = true
}

// sandboxEnded deletes a pod.
func (p *pods) sandboxEnded(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.of, id)
}

// setRuns records whether a container runs.
func (p *pods) setRuns(id, container string, runs bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stateOf(id).runs[container] = runs
}

// containerRemoved deletes a container, and reports whether it was the last of a pod whose end the
// runtime does not report.
func (p *pods) containerRemoved(id, container string) (end bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pod := p.stateOf(id)
	delete(pod.runs, container)
	if len(pod.runs) > 0 || pod.reported {
		return false
	}
	delete(p.of, id)
	return true
}

// hasRunning reports whether a container of a pod runs.
func (p *pods) hasRunning(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pod := p.of[id]
	return pod != nil && slices.Contains(slices.Collect(maps.Values(pod.runs)), true)
}
