package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"berth/agent"
	"berth/agent/client"
	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// namesTimeout bounds the wait for an agent that only adds names.
const namesTimeout = time.Second

// readEndpoints returns the endpoints, with ended ones if all is set: from the records and the
// pinned maps, which only root may read, with the names that an agent adds. If the user is
// not root, everything comes from the agent.
func (env *Env) readEndpoints(ctx context.Context, all bool) ([]specs.Endpoint, error) {
	list, err := env.recordedEndpoints(ctx)
	if errors.Is(err, fs.ErrPermission) {
		if list, err = client.New(env.dirs.State).Endpoints(ctx, all); err != nil {
			return nil, fmt.Errorf("only root may read the records, so the agent was asked: %w", err)
		}
	} else if err == nil {
		env.addNames(ctx, list)
	}
	if err != nil {
		return nil, err
	}
	if !all {
		list = slices.DeleteFunc(list, func(e specs.Endpoint) bool { return e.Phase == specs.PhaseEnded })
	}
	sortEndpoints(list)
	return list, nil
}

// recordedEndpoints reads the records and, if an agent has ever run, the counts.
func (env *Env) recordedEndpoints(ctx context.Context) ([]specs.Endpoint, error) {
	store := state.Open(env.dirs.State)
	maps, err := bpf.Open(env.dirs.BPFFS)
	if errors.Is(err, fs.ErrNotExist) {
		return agent.Collect(ctx, store, nil)
	}
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	return agent.Collect(ctx, store, maps)
}

// addNames adds the names that the agent has from the engines. They are optional, so an
// agent that does not answer is no error.
func (env *Env) addNames(ctx context.Context, list []specs.Endpoint) {
	unnamed := func(e specs.Endpoint) bool { return e.Name == "" }
	if !slices.ContainsFunc(list, unnamed) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	known, err := client.New(env.dirs.State).Endpoints(ctx, true)
	if err != nil {
		return
	}
	byID := make(map[string]*specs.Endpoint)
	for i := range known {
		byID[known[i].ContainerID] = &known[i]
	}
	for i := range list {
		if k := byID[list[i].ContainerID]; k != nil && list[i].Name == "" {
			list[i].Name, list[i].Image, list[i].Pod, list[i].Namespace = k.Name, k.Image, k.Pod, k.Namespace
		}
	}
}
