package specs

import (
	"strings"
	"testing"
	"time"
)

// A key counts only in the spelling of specs/networks.md: a reader of the file
// must see the same policy as berth.
func TestKeysAreExact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[policy]\nstatic_ips = false\nStatic_IPs = true\n":      `line 3: key "policy.Static_IPs": want static_ips`,
		"[Policy]\nstatic_ips = true\n":                          `line 1: key "Policy": want policy`,
		"[policy]\n[POLICY]\n":                                   `line 2: key "POLICY": want policy`,
		"policy.STATIC_MACS = true\n":                            `line 1: key "policy.STATIC_MACS": want static_macs`,
		"policy = { static_ips = false, \"Static_ips\" = true }": `line 1: key "policy.Static_ips": want static_ips`,
		"[agent]\n\n\"Keep_Ended\" = \"1h\"\n":                   `line 3: key "agent.Keep_Ended": want keep_ended`,
		"[agent]\nMaxEndpoints = 3\n":                            `line 2: key "agent.MaxEndpoints": want one of attach, `,
		"static_ips = true\n":                                    `line 1: key "static_ips": this key belongs below policy`,
		"[policy.static_ips]\nx = 1\n":                           `line 1`,
		"[policy]\nstatic_ips = true\nstatic_ips = true\n":       `line 3`,
	} {
		if _, err := DecodeConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
	const head = "parent = \"eth1\"\n"
	for text, want := range map[string]string{
		"Parent = \"eth1\"\n":                                               `line 1: key "Parent": want parent`,
		head + "Driver = \"ipvlan\"\n":                                      `line 2: key "Driver": want driver`,
		head + "[[Subnet]]\nsubnet = \"192.0.2.0/24\"\n":                    `line 2: key "Subnet": want subnet`,
		head + "[[subnet]]\nSUBNET = \"192.0.2.0/24\"\n":                    `line 3: key "subnet.SUBNET": want subnet`,
		head + "subnet = [{ subnet = \"192.0.2.0/24\", Exclude = [] }]\n":   `line 2: key "subnet.Exclude": want exclude`,
		head + "[[subnet]]\nsubnet = \"192.0.2.0/24\"\nName = \"x\"\n":      `line 4: key "subnet.Name"`,
		head + "name = \"x\"\n":                                             `line 2: key "name": want one of allow, `,
		head + "-x = 1\n":                                                   `line 2: key "-x": want one of`,
		head + "\"\" = 1\n":                                                 `line 2: key "": want one of`,
		head + "[[route]]\nto = \"198.51.100.0/24\"\nVia = \"192.0.2.1\"\n": `line 4: key "route.Via": want via`,
	} {
		if _, err := DecodeNetwork("lan", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

// The decoder would take a number for nanoseconds, and a list for a MAC.
func TestTextsAreTexts(t *testing.T) {
	t.Parallel()
	for value, kind := range map[string]string{"100": "integer", "0": "integer", "1.5": "float", "true": "boolean", "12:00:00": "date or time", "[1]": "array", "[]": "array"} {
		for text, decode := range map[string]func([]byte) error{
			"[agent]\nkeep_ended = ":              decodeConfig,
			"[agent]\notlp_interval = ":           decodeConfig,
			"agent.keep_ended = ":                 decodeConfig,
			"agent = { otlp_interval = ":          decodeConfig,
			"parent = \"p\"\nconflict_timeout = ": decodeNetwork,
		} {
			want := " is a TOML " + kind + `: want a duration in quotes, as "100ms"`
			end := "\n"
			if strings.Contains(text, "{") {
				end = " }\n"
			}
			if err := decode([]byte(text + value + end)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s%s: error %v, want %q", text, value, err, want)
			}
		}
	}
	for text, want := range map[string]string{
		"source_macs = [[2, 0, 94, 0, 83, 1]]":             "line 2: source_macs is a TOML array: want a text, in quotes",
		"mac = 3":                                          "line 2: mac is a TOML integer: want a text, in quotes",
		"mtu = 1400\nconflict_timeout = []":                "line 3: conflict_timeout is a TOML array: want a duration",
		"dhcp_timeout = {a = 1}":                           "line 2: dhcp_timeout is a TOML inline table: want a duration",
		"enforce = [1]":                                    "line 2: enforce is a TOML integer: want a text, in quotes",
		"route = [\"10.0.0.0/8\"]":                         "line 2: route is a TOML string: want a table",
		"subnet = [3]":                                     "line 2: subnet is a TOML integer: want a table",
		"[[subnet]]\nsubnet = 3":                           "line 3: subnet.subnet is a TOML integer: want a text, in quotes",
		"[[subnet]]\nsubnet=\"192.0.2.0/24\"\nexclude=[1]": "line 4: subnet.exclude is a TOML integer: want a text, in quotes",
	} {
		if err := decodeNetwork([]byte("parent = \"p\"\n" + text + "\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// A number that is too small for its type is refused without Go's name of the type.
func TestNegativeNumbers(t *testing.T) {
	t.Parallel()
	err := decodeConfig([]byte("[agent]\nmax_endpoints = -1\n"))
	if err == nil || err.Error() != "line 2: agent.max_endpoints is negative: want a whole number, 0 or more" {
		t.Errorf("error %v", err)
	}
	err = decodeConfig([]byte("policy = 1\n"))
	if err == nil || err.Error() != "line 1: policy is a TOML integer: want a table" {
		t.Errorf("error %v", err)
	}
}

func decodeConfig(data []byte) error  { _, err := DecodeConfig(data); return err }
func decodeNetwork(data []byte) error { _, err := DecodeNetwork("lan", data); return err }

func TestByteOrderMarks(t *testing.T) {
	t.Parallel()
	c, err := DecodeConfig([]byte("\xef\xbb\xbf[agent]\nkeep_ended = \"5m\"\n"))
	if err != nil || c.Agent.KeepEnded != Duration(5*time.Minute) {
		t.Errorf("UTF-8 with a byte order mark: keep_ended %v, error %v", c.Agent.KeepEnded, err)
	}
	err = decodeNetwork([]byte("\xef\xbb\xbfparent = \"p\"\nmtu = \"x\"\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "line 2: mtu") {
		t.Errorf("an error behind a byte order mark: %v, want line 2", err)
	}
	for _, text := range []string{"\xff\xfep\x00", "\xfe\xff\x00p"} {
		if err := decodeNetwork([]byte(text)); err == nil || !strings.Contains(err.Error(), "UTF-16: save it as UTF-8") {
			t.Errorf("UTF-16: error %v", err)
		}
	}
}
