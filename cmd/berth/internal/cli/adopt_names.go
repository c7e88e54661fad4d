package cli

import (
	"context"
	"strings"

	"berth/agent/client"
	"berth/agent/names"
	"berth/internal/foreign"
	"berth/internal/state"
)

// moverNames returns the sources of the names of the containers that are moved: the engines' files, and
// the agent, which has asked containerd.
func (env *Env) moverNames(ctx context.Context, dockerDir, podmanDir string) []names.Enricher {
	return []names.Enricher{names.Docker(dockerDir), names.Podman(podmanDir), env.shownNames(ctx)}
}

// shownNames returns the names that the agent shows. Names are optional, so an agent that does not
// answer is no error.
func (env *Env) shownNames(ctx context.Context) shownNames {
	asked, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	all, _ := client.New(env.dirs.State).Endpoints(asked, false)
	byID := make(shownNames, len(all))
	for i := range all {
		if all[i].Name != "" {
			byID[all[i].ContainerID] = all[i].Name
		}
	}
	return byID
}

// shownNames has the names of containers by their IDs.
type shownNames map[string]string

func (shownNames) String() string { return "the agent" }

// Names implements [names.Enricher].
func (s shownNames) Names(_ context.Context, id string) (*state.Names, error) {
	name, known := s[id]
	if !known {
		return nil, nil
	}
	return &state.Names{Name: name}, nil
}

// Watch implements [names.Enricher]. It reports no change.
func (shownNames) Watch(ctx context.Context, _ func(string)) error {
	<-ctx.Done()
	return nil
}

// useOwnIDs replaces the IDs that nerdctl gives CNI, NAMESPACE-ID, by the containers' own.
func useOwnIDs(holdings []foreign.Holding) {
	for i := range holdings {
		id := holdings[i].Container
		holdings[i].Container = id[strings.LastIndex(id, "-")+1:]
	}
}
