package specs

import (
	"fmt"
	"math/bits"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ClusterConfig is the table [cluster] of berth.toml: the etcd by which nodes share pools.
// Without etcd there is no cluster. specs/cluster.md defines each key.
type ClusterConfig struct {
	Etcd      []string `toml:"etcd"`      // URLs of etcd's members; empty if there is no cluster
	CA        string   `toml:"ca"`        // file with the CA of etcd's certificates
	Cert      string   `toml:"cert"`      // file with this node's certificate
	Key       string   `toml:"key"`       // file with its key
	Node      string   `toml:"node"`      // this node's name; "" for the host's
	Directory string   `toml:"directory"` // directory of cluster.json, which outlives a reboot
}

// DefaultClusterDirectory is the directory of a node's file.
const DefaultClusterDirectory = "/var/lib/berth"

const (
	maxEtcdMembers = 16
	maxNodeName    = 253
)

// Enabled reports whether the machine is a node of a cluster.
func (c *ClusterConfig) Enabled() bool { return len(c.Etcd) > 0 }

func (c *ClusterConfig) checkCluster() error {
	if len(c.Etcd) > maxEtcdMembers {
		return Invalid("etcd", fmt.Sprint(len(c.Etcd)), "at most %d URLs", maxEtcdMembers)
	}
	secure := 0
	for i, e := range c.Etcd {
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return Invalid(fmt.Sprintf("etcd[%d]", i), e, "a URL of a member of etcd, as https://192.0.2.10:2379")
		}
		if u.Scheme == "https" {
			secure++
		}
	}
	if secure != 0 && secure != len(c.Etcd) {
		return Unusable("etcd", strings.Join(c.Etcd, ", "), "some URLs have https and some http; use https for all")
	}
	if len(c.Node) > maxNodeName || strings.ContainsFunc(c.Node, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Invalid("node", c.Node, "up to %d printable ASCII characters", maxNodeName)
	}
	return c.checkFiles(secure > 0)
}

func (c *ClusterConfig) checkFiles(secure bool) error {
	for _, f := range []struct{ key, path string }{{"ca", c.CA}, {"cert", c.Cert}, {"key", c.Key}} {
		switch {
		case secure && f.path == "":
			return Invalid(f.key, "", "the absolute path of a file; etcd's URLs have https, for which both sides have "+
				"certificates")
		case !secure && f.path != "":
			return Unusable(f.key, f.path, "etcd's URLs do not have https, so no certificate is used")
		case f.path != "" && !isPath(f.path):
			return Invalid(f.key, f.path, "the absolute path of a file")
		}
	}
	if !isPath(c.Directory) {
		return Invalid("directory", c.Directory, "the absolute path of a directory that outlives a reboot")
	}
	return nil
}

// Defaults and bounds of the keys of a network with ipam = "cluster".
const (
	DefaultBlock     = 8
	DefaultKeepFree  = 4
	MaxBlock         = 4096
	maxKeepFree      = 4096
	minReclaim       = time.Minute
	maxReclaim       = 365 * 24 * time.Hour
	maxClusterDomain = 63
)

// Clustered reports whether the network's addresses are of a pool that nodes share.
func (n *Network) Clustered() bool { return n.IPAM == IPAMCluster }

func (n *Network) setClusterDefaults() {
	setDefault(&n.Block, DefaultBlock)
	setDefault(&n.Reuse, ReuseOldest)
	if n.KeepFree == nil {
		n.KeepFree = new(DefaultKeepFree)
	}
}

// clearClusterDefaults clears the keys that have their defaults.
func (n *Network) clearClusterDefaults() {
	if !n.Clustered() {
		return
	}
	clearDefault(&n.Block, DefaultBlock)
	clearDefault(&n.Reuse, ReuseOldest)
	if *n.KeepFree == DefaultKeepFree {
		n.KeepFree = nil
	}
}

// checkClustered checks the keys of a shared pool, and that no other network has them.
func (n *Network) checkClustered() error {
	if !n.Clustered() {
		return n.checkNoClusterKeys()
	}
	if err := CheckClusterDomain(n.Domain); err != nil {
		return err
	}
	switch {
	case n.Name == "":
		return Unusable("ipam", string(n.IPAM), "nodes share pools of networks with a file; write one: berth network create")
	case len(n.Subnets) != 1:
		return Unusable("ipam", string(n.IPAM), "a shared pool has one subnet, and the network has %d; use a domain and a "+
			"network for each", len(n.Subnets))
	case n.Block < 1 || n.Block > MaxBlock || bits.OnesCount(uint(n.Block)) != 1:
		return Invalid("block", strconv.Itoa(n.Block), "a power of two from 1 to %d", MaxBlock)
	case *n.KeepFree < 0 || *n.KeepFree > maxKeepFree:
		return Invalid("keep_free", strconv.Itoa(*n.KeepFree), "0 to %d addresses", maxKeepFree)
	}
	if d := n.ReclaimAfter; d != nil && (time.Duration(*d) < minReclaim || time.Duration(*d) > maxReclaim) {
		return Invalid("reclaim_after", d.String(), "%s to %s", Duration(minReclaim), Duration(maxReclaim))
	}
	return nil
}

// CheckClusterDomain checks the name of a domain: a part of the keys in etcd.
func CheckClusterDomain(name string) error {
	if name == "" || len(name) > maxClusterDomain || name[0] == '-' ||
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return Invalid("domain", name, "up to %d lower-case letters, digits and dashes, as lan-hq", maxClusterDomain)
	}
	return nil
}

func (n *Network) checkNoClusterKeys() error {
	const problem = `nodes do not share the network's addresses; set ipam = "cluster"`
	switch {
	case n.Domain != "":
		return Unusable("domain", n.Domain, problem)
	case n.Block != 0:
		return Unusable("block", strconv.Itoa(n.Block), problem)
	case n.KeepFree != nil:
		return Unusable("keep_free", strconv.Itoa(*n.KeepFree), problem)
	case n.ReclaimAfter != nil:
		return Unusable("reclaim_after", n.ReclaimAfter.String(), problem)
	}
	return nil
}
