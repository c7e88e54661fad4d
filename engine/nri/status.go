package nri

import (
	"encoding/json"
	"net/netip"
	"slices"

	"berth/internal/state"
	"berth/specs"
)

// StatusAnnotation is set on the containers of an attached pod. NRI changes containers and
// not pods, so it is in the runtime's data of the container (crictl inspect). The key is
// that of the Kubernetes multi-network specification, because a hook refuses an unknown key
// below berth/.
const StatusAnnotation = "k8s.v1.cni.cncf.io/network-status"

// networkStatus is an interface in that specification's network status annotation. dns is
// always present; berth sets none.
type networkStatus struct {
	Name      string       `json:"name"` // of the network, or of its parent if it was defined in place
	Interface string       `json:"interface"`
	IPs       []netip.Addr `json:"ips,omitempty"`
	MAC       specs.MAC    `json:"mac"`
	MTU       int          `json:"mtu"`
	Gateway   []netip.Addr `json:"gateway,omitempty"`
	DNS       struct{}     `json:"dns"`
}

// statusOf returns the value of [StatusAnnotation].
func statusOf(all []*state.Attachment) (string, error) {
	list := []networkStatus{}
	for _, a := range all {
		s := networkStatus{Name: a.Network, Interface: a.Interface, MAC: a.MAC, MTU: a.MTU, Gateway: a.Gateways}
		if s.Name == "" {
			s.Name = a.Parent
		}
		for _, p := range a.Addresses {
			s.IPs = append(s.IPs, p.Addr())
		}
		list = append(list, s)
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// hasStatus reports whether a value of [StatusAnnotation] lists all attachments. The text
// may come from another version of this plugin.
func hasStatus(text string, all []*state.Attachment) bool {
	var list []struct {
		Interface string    `json:"interface"`
		MAC       specs.MAC `json:"mac"`
	}
	if text == "" || json.Unmarshal([]byte(text), &list) != nil {
		return false
	}
	listed := make(map[string]specs.MAC)
	for _, s := range list {
		listed[s.Interface] = s.MAC
	}
	return !slices.ContainsFunc(all, func(a *state.Attachment) bool { return listed[a.Interface] != a.MAC })
}
