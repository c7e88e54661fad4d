package main

// shareDir is the directory of a tree that has the programs built for it.
const shareDir = "/share"

// stores are the directories in which engines keep the file systems of containers.
// They must not be on an overlay.
var stores = []string{"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers"}

// packages are the packages of a tree, in addition to minbase and to those of its engine.
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
	tools  []string // additional programs, see tools.go

	packages []string // additional packages; the engine then has a tree of its own
	machine  bool     // the tests run in an emulated machine with Debian's kernel
	named    bool     // the tests take long, and run only if the command line names them
}

var both = []string{"forky", "trixie"}

var engines = []engine{
	{name: "docker", suites: both, tests: `^TestDocker|^Test(Engine|Service).*$/^docker`},
	{name: "docker-network", suites: []string{"forky"}, tests: `^TestNetworkOfDocker`},
	{name: "docker-network-old", suites: []string{"trixie"}, tests: `^TestNetworkOfOldDocker|^TestNetworkOfDockerRefused`},
	{name: "containerd", suites: both,
		tests: `^TestInstalledContainerd$|^TestContainerd|^Test(Engine|Service).*$/^(ctr|containerd)`},
	{name: "podman", suites: both, tests: `^TestPodman|^Test(Engine|Service).*$/^podman|^TestInstall$`},
	{name: "runtimes", suites: both, tests: `^Test(Engine|Service).*$/^(runc|crun)`},
	{name: "nerdctl", suites: []string{"forky"}, tests: `^TestNerdctl|^Test(Engine|Service).*$/^nerdctl`,
		tools: []string{"nerdctl"}},
	{name: "cri", suites: both, tests: `^TestCRI`, tools: []string{"crictl"}},
	// CRI-O 1.34.0 has no validator of plugins.
	{name: "crio", suites: both, tests: `^TestCRI`, tools: []string{"crictl", "crio"}},
	// Debian's containerd is too old for a validator of plugins.
	{name: "cri-newer", suites: []string{"forky"}, tests: `^TestCRI|^TestValidator`,
		tools: []string{"crictl", "containerd"}},
	// The kernel of the testing machine may have no ipvlan, and its cgroups no controllers for ctr.
	// make ipvlan names it.
	{name: "ipvlan", suites: []string{"forky"}, tests: `^TestIPvlanOf|^TestDoctorTriesContainerd$`,
		tools: []string{"nerdctl"}, machine: true, named: true},
	{name: "ipvlan-observed", suites: []string{"forky"}, tests: `^TestObservedIPvlanOf`, tools: []string{"nerdctl"},
		machine: true, named: true},
	// Not engines of containers, but their interfaces are observed. The firmware sends frames.
	{name: "machines", suites: []string{"trixie"}, tests: `^TestMachinesOf`, packages: []string{
		"lxc", "libvirt-daemon", "libvirt-daemon-driver-network", "libvirt-daemon-driver-qemu", "libvirt-clients",
		"qemu-system-x86", "ipxe-qemu",
	}},
}
