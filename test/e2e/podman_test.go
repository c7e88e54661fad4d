//go:build engines

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/test/lab"
)

// newPodmanWithImage returns podman with an image, crun, and berth's file in hooks.d.
func newPodmanWithImage(t *testing.T, s *site) *lab.Podman {
	t.Helper()
	p := &lab.Podman{Host: s.Host, Rootfs: rootfs, Runtime: "crun", Loaded: true}
	must(t, p.Setup())
	must(t, p.Load())
	return p
}

// TestPodmanPods starts a pod whose first container has the annotation. All of its
// containers share the interface, until the first one is removed.
func TestPodmanPods(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	p := newPodmanWithImage(t, s)
	before := s.snapshot(t)
	pod := s.id("pod")
	_, err := p.Client("pod", "create", "--name", pod, "--network", "none")
	must(t, err)
	first, second := s.sleeper("first"), s.sleeper("second")
	first.Network, second.Network, second.Annotations = lab.Pod(pod), lab.Pod(pod), nil
	id, err := p.Start(first)
	must(t, err)
	s.expectWhole(t, p, first.ID, id, firstOfPool)
	_, err = p.Start(second)
	must(t, err)
	s.expectConfigured(t, p, second.ID, findEndpoint(t, s.ps(t), id), firstOfPool)
	must(t, p.Stop(second.ID))
	s.expectWhole(t, p, first.ID, id, firstOfPool)
	must(t, p.Restart(first.ID))
	s.expectWhole(t, p, first.ID, id, firstOfPool)
	_, err = p.Client("pod", "restart", pod)
	must(t, err)
	s.expectWhole(t, p, first.ID, id, firstOfPool)
	must(t, p.Stop(first.ID))
	s.expectReleased(t)
	_, err = p.Client("pod", "rm", "--force", "--time", "0", pod)
	must(t, err)
	s.expectNothingLeft(t, before)
}

// kubePod is the pod of docs/engines/podman.md.
const kubePod = `apiVersion: v1
kind: Pod
metadata:
  name: %s
  annotations:
    berth/networks: lan
spec:
  containers:
  - name: main
    image: %s
    command: ["sleep", "600"]
    securityContext: {capabilities: {add: [NET_RAW]}}
`

// TestPodmanKube attaches a pod of podman kube play by the pod's annotation.
func TestPodmanKube(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	p := newPodmanWithImage(t, s)
	before := s.snapshot(t)
	file := filepath.Join(s.Dir, "pod.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, kubePod, s.id("web"), lab.ImageName), 0o644))
	_, err := p.Client("kube", "play", "--network", "none", file)
	must(t, err)
	shown := s.waitAttachedAt(t, firstOfPool)
	s.expectWhole(t, p, s.id("web")+"-main", shown.ContainerID, firstOfPool)
	_, err = p.Client("kube", "down", file)
	must(t, err)
	s.expectNothingLeft(t, before)
}

// quadlets are the units of docs/engines/podman.md, without their common lines.
var quadlets = map[string]string{
	"list.container": "Network=none\nAnnotation=berth/networks=lan\n",
	"json.container": "Network=none\nAnnotation='berth/networks=[{\"name\":\"lan\",\"interface\":\"net1\"}]'\n",
	"dev.container":  "Network=none\nAddDevice=berth/network=lan\n",
	"pod.container":  "Pod=shop.pod\nAnnotation=berth/networks=lan\n",
	"net.container":  "Network=lan.network:interface_name=net1\n",
}

// TestPodmanQuadlet runs the commands that podman's generator writes for units, in
// the order in which systemd runs them. podman 5.4 finds devices only in the directories
// of the whole machine, of which the lab has copies.
func TestPodmanQuadlet(t *testing.T) {
	s := newServedSite(t)
	p := newPodmanWithImage(t, s)
	_, err := s.Berth("install", "--engine", "cdi")
	must(t, err)
	t.Cleanup(func() {
		_, err := s.Berth("uninstall", "--engine", "cdi")
		must(t, err)
	})
	before := s.snapshot(t)
	q := s.generateUnits(t, p)
	for name := range quadlets {
		name = strings.TrimSuffix(name, ".container")
		switch name {
		case "pod":
			q.runUnit(t, "shop-pod", "ExecStartPre", "ExecStart")
		case "net":
			q.runUnit(t, "lan-network", "ExecStart")
		}
		q.runUnit(t, name, "ExecStart")
		shown := s.waitAttachedAt(t, firstOfPool)
		container, err := p.NameOf(shown.ContainerID)
		must(t, err)
		s.expectWhole(t, p, container, shown.ContainerID, firstOfPool)
		q.runUnit(t, name, "ExecStop", "ExecStopPost")
		s.expectReleased(t)
		if name == "pod" {
			q.runUnit(t, "shop-pod", "ExecStop", "ExecStopPost")
		}
		s.expectNothingLeft(t, before)
	}
}

// generatedUnits are the units that the generator has written, by name.
type generatedUnits struct {
	*site
	podman string // path
	units  map[string]string
}

// generateUnits runs podman's generator on quadlets.
func (s *site) generateUnits(t *testing.T, p *lab.Podman) *generatedUnits {
	t.Helper()
	dir := filepath.Join(s.Dir, "quadlets")
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "shop.pod"), []byte("[Pod]\nNetwork=none\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "lan.network"), []byte("[Network]\nDriver=berth\nOptions=network=lan\n"), 0o644))
	for name, lines := range quadlets {
		text := "[Container]\nImage=" + lab.ImageName + "\nAddCapability=NET_RAW\nExec=sleep 600\n" + lines
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	out, err := s.Run("sh", "-c", "QUADLET_UNIT_DIRS="+dir+" exec /usr/libexec/podman/quadlet -dryrun")
	must(t, err)
	program, err := p.Program()
	must(t, err)
	g := &generatedUnits{site: s, podman: program, units: make(map[string]string)}
	for part := range strings.SplitSeq("\n"+out, "\n---") {
		if name, text, found := strings.Cut(part, ".service---\n"); found {
			g.units[name] = text
		}
	}
	return g
}

// runUnit runs commands of a unit as systemd does (systemd.service(5)), but without
// systemd's cgroups, and with a shorter time limit for the end of containers.
func (g *generatedUnits) runUnit(t *testing.T, unit string, keys ...string) {
	t.Helper()
	script := "set -e\n"
	for _, key := range keys {
		_, rest, found := strings.Cut(g.units[unit], "\n"+key+"=")
		if !found {
			t.Fatalf("unit %q has no %s:\n%s", unit, key, g.units[unit])
		}
		line, _, _ := strings.Cut(rest, "\n")
		if ignores, found := strings.CutPrefix(line, "-"); found {
			line = ignores + " || true"
		}
		script += line + "\n"
	}
	script = strings.NewReplacer("%t", g.Dir, "%N", unit, "%n", unit+".service",
		"/usr/bin/podman", g.podman, "--cgroups=split", "--cgroups=disabled", "--time=10", "--time=1").Replace(script)
	_, err := g.Run("sh", "-c", script)
	must(t, err)
}

// TestPodmanUsers attaches containers in user namespaces: mapped by flags, and chosen
// by podman. For root, podman makes no user namespace of keep-id.
func TestPodmanUsers(t *testing.T) {
	for file, line := range map[string]string{
		"/etc/passwd": "containers:x:998:998::/:/usr/sbin/nologin\n", "/etc/group": "containers:x:998:\n",
		"/etc/subuid": "containers:200000:1048576\n", "/etc/subgid": "containers:200000:1048576\n",
	} {
		must(t, appendTo(file, line))
	}
	s := newServedSite(t)
	p := newPodmanWithImage(t, s)
	before := s.snapshot(t)
	for name, flags := range map[string][]string{
		"auto": {"--userns", "auto"}, "sized": {"--userns", "auto:size=1000"}, "mapped": {"--uidmap", "0:100000:65536"},
		"kept": {"--userns", "keep-id"},
	} {
		c := s.sleeper(name)
		id, err := p.StartWith(c, flags...)
		must(t, err)
		out, err := p.Exec(c.ID, "cat", "/proc/self/uid_map")
		fields := strings.Fields(out) // inside, outside, number
		if err != nil || len(fields) != 3 || (fields[1] == "0") != (name == "kept") {
			t.Errorf("%s: its users are %s, %v", name, out, err)
		}
		s.expectWhole(t, p, c.ID, id, firstOfPool)
		must(t, p.Restart(c.ID))
		s.expectWhole(t, p, c.ID, id, firstOfPool)
		must(t, p.Stop(c.ID))
		s.expectNothingLeft(t, before)
	}
}

// TestPodmanOwnNetworks attaches containers on podman's own macvlan of the same parent,
// and beside it.
func TestPodmanOwnNetworks(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	p := newPodmanWithImage(t, s)
	_, err := p.Client("network", "create", "--driver", "macvlan", "--opt", "parent=eth1",
		"--subnet", foreignNet, "--gateway", foreignIP, "foreign")
	must(t, err)
	s.expectBesideForeign(t, p, func(bool) {})
}
