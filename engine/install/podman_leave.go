package install

import (
	"path/filepath"
	"slices"
	"strings"

	"berth/engine/edit"
)

// podmanNetworks is podman's directory of networks, unless network_config_dir of containers.conf
// names another (containers.conf(5)).
const podmanNetworks = "/etc/containers/networks"

// leavePodman adds a note on podman's networks that have no driver after the removal: netavark
// refuses to start and to remove containers on them.
func (p *planner) leavePodman() error {
	conf, err := p.readPodman()
	if err != nil {
		return err
	}
	if err := p.dropPodmanDefault(conf); err != nil {
		return err
	}
	remains := func(dir string) bool {
		f, err := p.planFile(filepath.Join(p.o.sysPath(dir), handler), false)
		return err == nil && f.After != nil
	}
	if slices.ContainsFunc(conf.plugins.Dirs(), remains) {
		return nil
	}
	if names := p.podmanNetworksOfBerth(conf.networks); len(names) > 0 {
		p.addNote("without the driver, podman can neither start nor remove containers on its networks %s; remove the "+
			"containers and these networks first, or run berth install --engine podman again, and then remove them",
			strings.Join(names, ", "))
	}
	return nil
}

// dropPodmanDefault removes a default runtime that is berth's, if that is gone.
func (p *planner) dropPodmanDefault(conf *podmanValues) error {
	if _, remains := edit.Lookup(conf.engine, "runtimes", handler); remains {
		return nil
	}
	files, err := p.confFiles()
	if err != nil {
		return err
	}
	return p.dropDefault(files, edit.TOML, "engine", "runtime")
}

// podmanNetworksOfBerth returns the names of podman's networks that have the driver berth. It skips
// a file that is no network, as podman does.
func (p *planner) podmanNetworksOfBerth(dir string) (names []string) {
	if dir == "" {
		dir = podmanNetworks
	}
	files, _ := filepath.Glob(filepath.Join(p.o.sysPath(dir), "*.json")) // the pattern is well formed
	for _, file := range files {
		var network struct{ Name, Driver string }
		if readJSON(file, &network) == nil && network.Driver == handler {
			names = append(names, network.Name)
		}
	}
	return names
}
