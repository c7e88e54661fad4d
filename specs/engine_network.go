package specs

// EngineNetwork is a network of another program, by the program's own name. It is no network of
// berth.
type EngineNetwork struct {
	Engine string `json:"engine"` // EngineDocker or another
	Name   string `json:"name"`
}

// The programs whose networks have names. EngineCNI stands for all that call CNI's plugins.
const (
	EngineDocker  = "docker"
	EnginePodman  = "podman"
	EngineCNI     = "cni"
	EngineLibvirt = "libvirt"
)

// The further engines that start containers, beside docker and podman.
const (
	EngineContainerd = "containerd"
	EngineCRIO       = "cri-o"
)

// String returns the name for a person. No name of a network of berth has a colon.
func (n EngineNetwork) String() string { return n.Engine + ":" + n.Name }
