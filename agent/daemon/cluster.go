package daemon

import (
	"context"
	"errors"

	"berth/agent/metrics"
	"berth/specs"
)

// errNoCluster is returned if berth.toml names no etcd.
var errNoCluster = errors.New("this machine is no node of a cluster; set etcd under [cluster] in berth.toml and " +
	"restart berthd")

// Cluster implements api.Backend.
func (b backend) Cluster(ctx context.Context) (specs.ClusterStatus, error) {
	if b.member == nil {
		return specs.ClusterStatus{}, errNoCluster
	}
	return b.member.Status(ctx)
}

// Forget implements api.Backend.
func (b backend) Forget(ctx context.Context, node string) ([]string, error) {
	if b.member == nil {
		return nil, errNoCluster
	}
	return b.member.Forget(ctx, node)
}

// clusterNumbers returns the numbers of the cluster for a scrape, or nil if there is none.
func (a *Agent) clusterNumbers() *metrics.Cluster {
	if a.member == nil {
		return nil
	}
	now := a.member.Metrics()
	c := &metrics.Cluster{Latency: now.Latency, Failures: now.Failures, Claims: now.Claims, Returns: now.Returns,
		Conflicts: now.Conflicts}
	if !now.Contact.IsZero() {
		c.Contact = float64(now.Contact.UnixMilli()) / 1000
	}
	for _, p := range now.Pools {
		c.Pools = append(c.Pools, metrics.Pool{Domain: p.Domain, Blocks: p.Blocks, Free: p.Free})
	}
	return c
}
