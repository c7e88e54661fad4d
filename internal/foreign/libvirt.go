package foreign

import (
	"encoding/xml"
	"errors"
	"path/filepath"

	"berth/specs"
)

// readLibvirt reads libvirt's files of running domains: virtual machines and LXC containers. A
// network of libvirt has no addresses of berth's concern, because the LAN gives them out.
func (r *Reader) readLibvirt() ([]Holding, error) {
	if r.places.Libvirt == "" {
		return nil, nil
	}
	machines, errMachines := r.readFiles(filepath.Join(r.places.Libvirt, "qemu/*.xml"), parseLibvirtFile)
	containers, errContainers := r.readFiles(filepath.Join(r.places.Libvirt, "lxc/*.xml"), parseLibvirtFile)
	return append(machines, containers...), errors.Join(errMachines, errContainers)
}

func parseLibvirtFile(path string) ([]Holding, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return parseLibvirt(data)
}

// parseLibvirt returns the interfaces of a domain that are on a network of libvirt (domstatus in
// src/conf/domain_conf.c). An interface with a parent of its own is on none.
func parseLibvirt(data []byte) ([]Holding, error) {
	var status struct {
		Domain struct {
			Interfaces []struct {
				MAC struct {
					Address string `xml:"address,attr"`
				} `xml:"mac"`
				Source struct {
					Network string `xml:"network,attr"`
				} `xml:"source"`
			} `xml:"devices>interface"`
		} `xml:"domain"`
	}
	if err := xml.Unmarshal(data, &status); err != nil {
		return nil, err
	}
	var all []Holding
	for _, i := range status.Domain.Interfaces {
		if mac, err := specs.ParseMAC(i.MAC.Address); err == nil && i.Source.Network != "" {
			all = append(all, Holding{Network: specs.EngineNetwork{Engine: specs.EngineLibvirt, Name: i.Source.Network},
				MAC: mac})
		}
	}
	return all, nil
}
