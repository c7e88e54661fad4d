package cni

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/utils"

	"berth/hook"
	"berth/internal/state"
	"berth/specs"
)

// The environment variables of the protocol.
const (
	envCommand   = "CNI_COMMAND"
	envContainer = "CNI_CONTAINERID"
	envNetNS     = "CNI_NETNS"
	envInterface = "CNI_IFNAME"
	envArgs      = "CNI_ARGS"
)

// call is one request of a runtime.
type call struct {
	*specs.CNI
	id      string // of the container, as berth records it
	netNS   string
	ifname  string
	args    arguments
	invalid error // of the configuration; DEL and GC ignore it
}

func (p *Plugin) readCall(op operation, data []byte) (*call, error) {
	c := &call{netNS: p.Getenv(envNetNS), ifname: p.Getenv(envInterface)}
	for _, name := range op.needs {
		if p.Getenv(name) == "" {
			return nil, coded(codeEnvironment, fmt.Errorf("%s is not set; a CNI runtime sets it", name))
		}
	}
	if len(op.needs) > 0 {
		if err := checkNames(p.Getenv(envContainer), c.ifname); err != nil {
			return nil, err
		}
		c.id = recordedID(p.Getenv(envContainer))
	}
	var err error
	if c.CNI, err = specs.ParseCNIEnd(data); err != nil {
		return nil, coded(codeDecoding, err)
	}
	if bad := utils.ValidateNetworkName(c.Name); bad != nil {
		err := specs.Invalid("name", c.Name, "CNI's name of the network, of letters, digits, '_', '.' and '-'")
		return nil, coded(codeConfiguration, err)
	}
	strict, err := specs.ParseCNI(data)
	if err == nil {
		c.CNI = strict
		c.args, err = parseArguments(p.Getenv(envArgs), strict)
	}
	c.invalid = err
	return c, nil
}

func checkNames(id, ifname string) error {
	for _, bad := range []*types.Error{utils.ValidateContainerID(id), utils.ValidateInterfaceName(ifname)} {
		if bad != nil {
			return coded(codeEnvironment, bad)
		}
	}
	return nil
}

// nerdctlID is the form of nerdctl's IDs for CNI: its namespace, and the container's ID
// (pkg/ocihook/ocihook.go).
var nerdctlID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*-([0-9a-f]{64})$`)

// recordedID returns the ID under which a container is recorded. It is that of the OCI
// runtime, by which the agent finds the container's names.
func recordedID(id string) string {
	if m := nerdctlID.FindStringSubmatch(id); m != nil {
		return m[1]
	}
	return id
}

func (c *call) door() state.Door { return state.Door{Name: state.DoorCNI, Network: c.Name} }

// Annotations by which the records name a pod, the same as those of berth-nri.
const (
	podName      = "io.kubernetes.pod.name"
	podNamespace = "io.kubernetes.pod.namespace"
	podUID       = "io.kubernetes.pod.uid"
)

// sandbox returns the container in the form of the hook's library.
func (c *call) sandbox() hook.Sandbox {
	door := c.door()
	s := hook.Sandbox{ID: c.id, NetNS: c.netNS, Namespace: c.args.namespace, Hostname: c.args.hostname, Door: &door}
	if c.args.namespace != "" { // else the name is that of a container of podman
		s.Names = map[string]string{podName: c.args.pod, podNamespace: c.args.namespace, podUID: c.args.uid}
	}
	return s
}

func (c *call) selection() specs.Selection {
	return specs.Selection{Network: c.Network, Interface: c.ifname, IPs: c.IPs, MAC: c.MAC}
}

// arguments are the values of CNI_ARGS beyond the requested address and MAC.
type arguments struct{ namespace, pod, uid, hostname string }

// parseArguments reads CNI_ARGS and adds its address and MAC to the configuration. Runtimes
// that pass a call on, as Multus does, repeat keys: a key that decides something must have
// one value.
func parseArguments(text string, c *specs.CNI) (a arguments, err error) {
	var unknown []string
	ignore := false
	for pair := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(pair, "=")
		switch {
		case pair == "":
			continue
		case !ok:
			return a, specs.Invalid(envArgs, pair, "KEY=VALUE, separated by semicolons")
		case key == "IgnoreUnknown":
			ignore = ignore || value == "1" || strings.EqualFold(value, "true")
			continue
		}
		known, err := a.setArgument(key, value, c)
		if err != nil {
			return a, specs.At(envArgs, specs.At(key, err))
		}
		if !known {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 && !ignore {
		return a, specs.Invalid(envArgs, unknown[0], "IP, MAC or K8S_POD_*, or IgnoreUnknown=1")
	}
	return a, nil
}

func (a *arguments) setArgument(key, value string, c *specs.CNI) (known bool, err error) {
	switch key {
	case "IP":
		for one := range strings.SplitSeq(value, ",") {
			var ip specs.IP
			if err := ip.UnmarshalText([]byte(strings.TrimSpace(one))); err != nil {
				return true, err
			}
			c.AddIP(ip)
		}
	case "MAC":
		m, err := specs.ParseMAC(value)
		if err != nil {
			return true, err
		}
		return true, c.AddMAC(m)
	case "K8S_POD_NAMESPACE":
		return true, setOnce(&a.namespace, value)
	case "K8S_POD_NAME":
		return true, setOnce(&a.pod, value)
	case "K8S_POD_UID":
		return true, setOnce(&a.uid, value)
	case "NERDCTL_CNI_DHCP_HOSTNAME":
		return true, setOnce(&a.hostname, value)
	case "K8S_POD_INFRA_CONTAINER_ID": // the same as CNI_CONTAINERID
	default:
		return false, nil
	}
	return true, nil
}

func setOnce(into *string, value string) error {
	if *into != "" && value != "" && *into != value {
		return specs.Invalid("", value, "one value; %q is given too", *into)
	}
	*into = cmp.Or(*into, value)
	return nil
}
