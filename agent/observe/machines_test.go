package observe

import (
	"slices"
	"testing"

	"berth/specs"
)

func TestMachineIn(t *testing.T) {
	for text, want := range map[string]string{
		"0::/lxc.payload.web\n":                                   "lxc:web",
		"0::/lxc.payload.web/init.scope\n":                        "lxc:web",
		"5:devices:/lxc.payload/web\n":                            "lxc:web",
		"0::/user.slice/user-0.slice/lxc.payload.project_web/a\n": "lxc:project_web",
		"0::/lxc.monitor.web\n":                                   "",
		"0::/machine.slice/systemd-nspawn@web.service/payload\n":  "machine:web",
		`0::/machine.slice/machine-web\x2d1.scope/payload` + "\n": "machine:web-1",
		`0::/machine.slice/machine-lxc\x2d7\x2dweb.scope` + "\n":  "machine:web",
		"0::/system.slice/docker.service\n":                       "",
		"":                                                        "",
	} {
		if got := machineIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestMonitoredName(t *testing.T) {
	for want, line := range map[string][]string{
		"web": {"[lxc monitor] /var/lib/lxc web"},
		"":    {"lxc-start", "-n", "web"},
	} {
		if got := monitoredName(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestGuestName(t *testing.T) {
	for _, c := range []struct {
		line []string
		want string
	}{
		{[]string{"/usr/bin/qemu-system-x86_64", "-name", "guest=web,debug-threads=on", "-S"}, "web"},
		{[]string{"/usr/bin/kvm", "-id", "100", "-name", "web,debug-threads=on"}, "web"},
		{[]string{"/usr/libexec/qemu-kvm", "--name", "web"}, "web"},
		{[]string{"qemu-system-x86_64", "-m", "64"}, ""},
		{[]string{"qemu-system-x86_64", "-name"}, ""},
		{[]string{"sleep", "-name", "guest=web"}, ""},
		{nil, ""},
	} {
		if got := guestName(c.line); got != c.want {
			t.Errorf("%q: %q, want %q", c.line, got, c.want)
		}
	}
}

func TestCardMACs(t *testing.T) {
	got := cardMACs([]string{
		`-device`, `{"driver":"virtio-net-pci","netdev":"hostnet0","mac":"52:54:00:00:53:01","bus":"pci.0"}`,
		"-device", "virtio-net-pci,netdev=net1,mac=52:54:00:00:53:AF,addr=0x3", "-net", "nic,macaddr=52:54:00:00:53:03",
		"-fw_cfg", "string=52:54:00:00:53:04",
	})
	want := []specs.MAC{{0x52, 0x54, 0, 0, 0x53, 1}, {0x52, 0x54, 0, 0, 0x53, 0xaf}, {0x52, 0x54, 0, 0, 0x53, 3}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
