package check

import (
	"os"
	"strings"

	"berth/network"
)

// DMI is the firmware's description of the machine (/sys/class/dmi/id).
type DMI struct{ Vendor, Product, AssetTag, BIOS string }

func (c *Checker) gatherDMI() DMI {
	read := func(name string) string {
		text, err := os.ReadFile(c.underRoot("/sys/class/dmi/id/" + name))
		if err != nil {
			return "" // no DMI, as on many ARM boards
		}
		return strings.TrimSpace(string(text))
	}
	return DMI{read("sys_vendor"), read("product_name"), read("chassis_asset_tag"), read("bios_version")}
}

// Platform is a hypervisor or cloud, and its handling of frames from MACs that it has not
// assigned.
type Platform struct {
	Name  string
	Drops bool   // whether it always drops them; else a setting decides
	Allow string // that setting
}

var (
	aws = &Platform{"Amazon EC2", true, "assign the containers' addresses to this network interface as " +
		"secondary private addresses or a prefix"}
	google = &Platform{"Google Compute Engine", true,
		"give the instance an alias IP range, and use its addresses as the network's pool"}
	azure = &Platform{"Microsoft Azure", true,
		"add the containers' addresses as secondary IP configurations of this network interface"}
	oracle = &Platform{"Oracle Cloud", true,
		"add the containers' addresses as secondary private addresses of this VNIC"}
	alibaba = &Platform{"Alibaba Cloud", true,
		"assign the containers' addresses to this network interface as secondary private addresses"}
	droplet = &Platform{"DigitalOcean", true, "route a further prefix to this machine"}
	hetzner = &Platform{"Hetzner Cloud", true,
		"add the containers' addresses as alias IPs of this machine in its private network"}
	openstack = &Platform{"OpenStack", false,
		"on the port: allowed address pairs with the containers' addresses and MACs, or port security off"}
	vmware = &Platform{"VMware", false,
		"on the port group: accept forged transmits, and MAC learning or promiscuous mode"}
	hyperv     = &Platform{"Hyper-V", false, "on the host: `Set-VMNetworkAdapter -MacAddressSpoofing On`"}
	virtualbox = &Platform{"VirtualBox", false, "in the adapter's settings: bridged, promiscuous mode \"allow all\""}
	xen        = &Platform{"Xen", false, "on the virtual interface: locking mode off (XenServer, XCP-ng), and no " +
		"anti-spoofing rule on the bridge"}
	parallels = &Platform{"Parallels", false, "use a bridged network"}
	kvm       = &Platform{"KVM", false, "on the host: no MAC filter on the virtual interface (libvirt: no " +
		"clean-traffic nwfilter, and trustGuestRxFilters='yes' for macvtap; Proxmox: MAC filter off)"}
)

// platforms are identified by the firmware; the first match counts, so a cloud precedes its
// hypervisor.
var platforms = []struct {
	is      *Platform
	matches func(DMI) bool
}{
	{aws, func(d DMI) bool { return d.Vendor == "Amazon EC2" || strings.Contains(d.BIOS, "amazon") }},
	{google, func(d DMI) bool { return d.Vendor == "Google" || d.Product == "Google Compute Engine" }},
	{azure, func(d DMI) bool { return d.AssetTag == "7783-7084-3265-9085-8269-3286-77" }}, // on all Azure machines
	{oracle, func(d DMI) bool { return d.AssetTag == "OracleCloud.com" }},
	{alibaba, func(d DMI) bool { return d.Vendor == "Alibaba Cloud" }},
	{droplet, func(d DMI) bool { return d.Vendor == "DigitalOcean" }},
	{hetzner, func(d DMI) bool { return d.Vendor == "Hetzner" && d.Product == "vServer" }},
	{openstack, func(d DMI) bool { return strings.HasPrefix(d.Product, "OpenStack") }},
	{vmware, func(d DMI) bool { return strings.HasPrefix(d.Vendor, "VMware") }},
	{hyperv, func(d DMI) bool { return d.Vendor == "Microsoft Corporation" && d.Product == "Virtual Machine" }},
	{virtualbox, func(d DMI) bool { return d.Vendor == "innotek GmbH" || d.Product == "VirtualBox" }},
	{xen, func(d DMI) bool { return d.Vendor == "Xen" }},
	{parallels, func(d DMI) bool { return strings.HasPrefix(d.Vendor, "Parallels") }},
	{kvm, func(d DMI) bool {
		return d.Vendor == "QEMU" || d.Vendor == "Red Hat" || strings.Contains(d.Product, "KVM")
	}},
}

// byDriver maps drivers of network cards to the one platform that has them.
var byDriver = map[string]*Platform{
	"ena": aws, "gve": google, "mana": azure, "hv_netvsc": hyperv, "vmxnet3": vmware,
	"vif": xen, "xen_netfront": xen, "virtio_net": kvm,
}

// platformOf returns the platform of a machine, or nil if it is none.
func platformOf(d DMI, drivers []network.Device) *Platform {
	for _, p := range platforms {
		if p.matches(d) {
			return p.is
		}
	}
	for _, device := range drivers {
		if p := byDriver[device.Driver]; p != nil {
			return p
		}
	}
	return nil
}

// isVF reports whether a card is a virtual function (SR-IOV) of another.
func isVF(d network.Device) bool {
	switch d.Driver {
	case "igbvf", "ixgbevf", "iavf", "i40evf", "bnxt_en_vf", "qede_vf":
		return true
	}
	return false
}
