package install

import (
	"os"
	"path/filepath"
	"slices"

	"berth/internal/engineversion"
)

const (
	dockerSocketUnit = "berth-docker.socket"
	socketsWanted    = "/etc/systemd/system/sockets.target.wants"
)

// unitDirs are systemd's directories of units, those of an administrator first.
var unitDirs = []string{"/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
	"/lib/systemd/system"}

// writeDriver makes berth a driver of docker's networks: it enables the socket of berth-docker,
// as systemctl enable does. The driver needs a dockerd that makes the container's network
// namespace before it calls the driver.
func (p *planner) writeDriver(v engineversion.Version) error {
	if !v.JoinsNamespaces() {
		p.addNote("docker %s calls a driver before the container has a network namespace; networks with the driver %s "+
			"need docker 28 or 26.0", v.Text, handler)
		return nil
	}
	unit := p.o.findUnit(dockerSocketUnit)
	if unit == "" {
		p.addNote("for networks of docker put the units of berth-docker into %s, then run: systemctl enable --now %s",
			unitDirs[0], dockerSocketUnit)
		return nil
	}
	if err := p.planLink(filepath.Join(p.o.sysPath(socketsWanted), dockerSocketUnit), unit); err != nil {
		return err
	}
	p.plan.Exempt = "networks with the driver " + handler
	p.addNote("to start the driver: systemctl daemon-reload; systemctl start %s", dockerSocketUnit)
	p.addNote("a network of docker's on one of berth's: docker network create --driver %s --ipam-driver %[1]s --subnet "+
		"SUBNET --opt network=NETWORK NAME", handler)
	p.addNote("containers on it: docker run --network NAME …")
	return nil
}

// findUnit returns the path of a unit, or "" if systemd has none of that name.
func (o *Options) findUnit(name string) string {
	for _, dir := range unitDirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(o.sysPath(path)); err == nil {
			return path
		}
	}
	return ""
}

// enablesDriver reports whether a file enables the driver's socket.
func enablesDriver(f *File) bool { return filepath.Base(f.Path) == dockerSocketUnit }

// driverNetworks has a file for each network that docker created in the driver.
const driverNetworks = "/var/lib/berth/docker"

// noteDriver adds the command that stops the driver if a plan disables its socket, and docker's
// networks that need the driver.
func (p *planner) noteDriver() {
	networks, _ := filepath.Glob(filepath.Join(p.o.sysPath(driverNetworks), "*.json")) // the pattern is well formed
	if len(networks) > 0 {
		p.addNote("docker has networks with the driver %s: %d; without the driver no container starts on them; remove "+
			"them first: docker network ls --filter driver=%[1]s, docker network rm NAME", handler, len(networks))
	}
	if slices.ContainsFunc(p.plan.Files, func(f *File) bool { return enablesDriver(f) && f.Changed() }) {
		p.addNote("to stop the driver: systemctl stop %s berth-docker.service; containers on networks with the driver %s "+
			"then fail to start", dockerSocketUnit, handler)
	}
}
