package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"berth/agent/client"
	"berth/internal/regular"
	"berth/specs"
)

// The facts that change seldom are asked for at these intervals while there is a viewer. The
// state of a cluster is a read of all its keys in etcd.
const (
	checksEvery  = 5 * time.Second
	clusterEvery = 30 * time.Second
)

// Checks are the results of `berth check`.
type Checks struct {
	Time  time.Time         `json:"time"`
	Lines []specs.CheckLine `json:"lines"`
}

// maxChecks bounds the bytes read of the file of the checks.
const maxChecks = 4 << 20

// AgentSource is the agent of a state directory, and the last checks of its host.
type AgentSource struct {
	*client.Client
	endpoints *client.Follower
	dir       string
}

// NewAgentSource returns the source for a state directory, which may be the directory of the
// agent's socket for views.
func NewAgentSource(dir string) AgentSource {
	c := client.New(dir)
	return AgentSource{c, c.Follower(), dir}
}

// Status returns the agent's status, which may be some seconds old.
func (a AgentSource) Status(ctx context.Context) (specs.AgentStatus, error) {
	return a.RecentStatus(ctx)
}

// Endpoints returns all endpoints. It requests only those that have changed, and may not be called
// concurrently.
func (a AgentSource) Endpoints(ctx context.Context) ([]specs.Endpoint, error) {
	return a.endpoints.Endpoints(ctx)
}

// Forget drops the copy of the endpoints, so that an unwatched page needs no memory for it.
func (a AgentSource) Forget() { a.endpoints.Forget() }

// Checks returns the last results of `berth check`, or nil if it was not run for views. A file
// that is being written is an error.
func (a AgentSource) Checks() (*Checks, error) {
	var c Checks
	noteTime := func(st *unix.Stat_t) error {
		c.Time = time.Unix(st.Mtim.Unix())
		return nil
	}
	path := filepath.Join(a.dir, client.CheckFile)
	text, err := regular.ReadIf(path, maxChecks, noteTime)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(a.dir, client.ViewDir, client.CheckFile)
		text, err = regular.ReadIf(path, maxChecks, noteTime)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &c.Lines); err != nil {
		return nil, fmt.Errorf("decode the checks in %q: %w", path, err)
	}
	return &c, nil
}

// facts are the parts of a view that are not read with each sample.
type facts struct {
	checks  *Checks
	cluster *specs.ClusterStatus
}

// followFacts keeps the facts until ctx is done.
func (h *Hub) followFacts(ctx context.Context) {
	tick := time.NewTicker(checksEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		h.readFacts(ctx, n%int(clusterEvery/checksEvery) == 0)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// readFacts reads the checks and, if due, the cluster. A failure keeps the earlier results.
func (h *Hub) readFacts(ctx context.Context, clusterDue bool) {
	now := h.currentFacts()
	if checks, err := h.source.Checks(); err == nil {
		now.checks = checks
	}
	if clusterDue {
		now.cluster = h.readCluster(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.facts = now
}

func (h *Hub) currentFacts() facts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.facts
}

// readCluster returns the state of the cluster, or nil if this machine is no node of one.
func (h *Hub) readCluster(ctx context.Context) *specs.ClusterStatus {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	status, err := h.source.Status(ctx)
	if err != nil {
		return h.currentFacts().cluster
	}
	if !status.Cluster {
		return nil
	}
	cluster, err := h.source.Cluster(ctx)
	if err != nil {
		cluster.Error = cmp.Or(cluster.Error, err.Error())
	}
	cluster.Attachments = nil // as many as endpoints of all nodes, and not shown
	return &cluster
}
