package specs

import (
	"strings"
	"testing"
)

func TestParseCNI(t *testing.T) {
	t.Parallel()
	c, err := ParseCNI([]byte(`{"cniVersion": "1.1.0", "name": "x", "type": "berth-cni", "network": "lan", "cni.dev/later": {},
		"runtimeConfig": {"ips": ["192.0.2.7", "2001:db8::7/64"], "mac": "02:00:5e:00:53:01"}, "args": {"cni": {"ips": ["192.0.2.7/24"]}},
		"capabilities": {"ips": true, "portMappings": false}, "dns": {}, "ipam": {}, "ipMasq": false, "prevResult": null}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.IPs) != 2 || c.IPs[0].String() != "192.0.2.7/24" || c.IPs[1].String() != "2001:db8::7/64" || c.MAC.String() != "02:00:5e:00:53:01" || c.PrevResult != nil || c.Valid != nil {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]string{
		`{"network": "lan", "runtimeConfig": {"mac": "02:00:5e:00:53:01"}, "args": {"cni": {"mac": "02:00:5e:00:53:02"}}}`: "args.cni.mac \"02:00:5e:00:53:02\": want one MAC; 02:00:5e:00:53:01 is requested too",
		`{"network": "a/b"}`: "network \"a/b\": want",
		`{"network": 7}`:     "network \"7\": want a text, in quotes",
		`{"network": "lan", "runtimeConfig": {"ips": [` + strings.TrimSuffix(strings.Repeat(`"192.0.2.7",`, maxIPs), ",") + `,"x"]}}`: "runtimeConfig.ips \"x\": want an address",
		`{"network": "lan", "cni.dev/valid-attachments": 7}`:                                                                          "cni.dev/valid-attachments \"7\": want a list of objects",
		`{"network": "lan", "foo": 1}`:                    `key "foo": want one of args, `,
		`{"network": "lan", "parent": "eth1"}`:            `key "parent": want no definition in place`,
		`{"network": "lan", "runtimeConfig": {"foo": 1}}`: `runtimeConfig: key "foo": want one of `,
		`{"type": "berth-cni"}`:                           "network \"\": want the name of a network of berth's",
	} {
		if _, err := ParseCNI([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error\n     %v\nwant %s", text, err, want)
		}
	}
}

// FuzzParseCNI requires that a configuration is refused, or requests no more than an
// annotation could; and that DEL reads every accepted one as ADD does.
func FuzzParseCNI(f *testing.F) {
	for _, seed := range []string{
		`{"cniVersion": "1.1.0", "name": "x", "type": "berth-cni", "network": "lan"}`,
		`{"network": "lan", "runtimeConfig": {"ips": ["192.0.2.7/24"], "mac": "02:00:5e:00:53:01"}, "capabilities": {"ips": true}}`,
		`{"network": "lan", "args": {"cni": {"ips": []}}, "ipam": {}, "prevResult": {}}`, `{"network": "lan", "parent": "eth0"}`,
		`{"network": "lan", "cni.dev/valid-attachments": [{"containerID": "a", "ifname": "b"}]}`, `{`, `[]`, `{"network": "lan", "network": "x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCNI(data)
		if err != nil {
			if c != nil {
				t.Fatalf("%+v beside %v", c, err)
			}
			_, _ = ParseCNIEnd(data)
			return
		}
		if err := CheckNetworkName(c.Network); err != nil {
			t.Fatal(err)
		}
		if len(c.IPs) > maxIPs {
			t.Fatalf("%d addresses", len(c.IPs))
		}
		checkSelection(t, Selection{Network: c.Network, IPs: c.IPs, MAC: c.MAC})
		end, err := ParseCNIEnd(data)
		if err != nil || end.Name != c.Name || end.Network != c.Network || end.Version != c.Version {
			t.Fatalf("for the end %+v, %v, else %+v", end, err, c)
		}
	})
}
