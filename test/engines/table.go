package main

// shareDir is where a tree has what was built for it.
const shareDir = "/share"

// stores are the directories in which engines keep file systems of containers,
// which may be no overlay.
var stores = []string{"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers"}

// packages are what a tree has beside minbase.
var packages = []string{
	"docker.io", "docker-cli", "docker-compose", "containerd", "runc", "podman", "crun", "netavark", "aardvark-dns",
	"conmon", "containernetworking-plugins", "uidmap", "tini", "iptables", "nftables",
	"busybox-static", "iproute2", "iputils-ping", "ethtool", "procps", "kmod", "jq", "ca-certificates",
}

// An engine is a group of tests that run in one process.
type engine struct {
	name   string
	suites []string
	tests  string   // of test/e2e, as -test.run takes it
	tools  []string // that Debian does not package
}

var engines = []engine{
	{name: "docker", suites: []string{"forky"}, tests: `^TestDocker|^TestEngine.*$/^docker`},
}
