package docker

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"berth/internal/config"
)

// TestARangeWithoutAddresses requires that docker network create fails if --ip-range leaves no address
// for a container, because of the gateway, of --aux-address, of the subnet's own addresses, or of the
// network's file. A range with one address is accepted, and so is the next try without a range.
func TestARangeWithoutAddresses(t *testing.T) {
	inPlace := `{"parent":"eth1","macvlan_mode":"bridge"}`
	for name, c := range map[string]struct{ options, given, aux, want string }{
		"the gateway alone":              {inPlace, "192.0.2.1/32", "", "it has no address for a container"},
		"the gateway and the network's":  {inPlace, "192.0.2.0/31", "", "it has no address for a container"},
		"the broadcast address":          {inPlace, "192.0.2.255/32", "", "it has no address for a container"},
		"auxiliary addresses":            {inPlace, "192.0.2.64/31", `"a":"192.0.2.64/24","b":"192.0.2.65/24"`, "it has no address for a container"},
		"excluded by the file":           {`{"network":"kept"}`, "192.0.2.64/28", "", "it has no address for a container"},
		"outside of the file's ip_range": {`{"network":"kept"}`, "192.0.2.128/28", "", "the network gives out addresses of 192.0.2.64/26"},
		"one address":                    {inPlace, "192.0.2.2/32", "", ""},
		"one beside the gateway":         {inPlace, "192.0.2.0/30", `"a":"192.0.2.3/24"`, ""},
		"a part of the file's":           {`{"network":"kept"}`, "192.0.2.64/27", "", ""},
		"requests only":                  {`{"network":"static"}`, "192.0.2.1/32", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			text := "parent = \"eth1\"\n[[subnet]]\nsubnet = \"192.0.2.0/24\"\ngateway = \"192.0.2.1\"\n" +
				"ip_range = \"192.0.2.64/26\"\nexclude = [\"192.0.2.64/28\"]\n"
			if err := os.WriteFile(config.NetworkFile(s.Dirs.Config, "kept"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			pool := fmt.Sprintf(`{"AddressSpace":"%s","Pool":"192.0.2.0/24","SubPool":"%s"}`, space, c.given)
			create := strings.Replace(request(c.options), `"AuxAddresses":{}`, `"AuxAddresses":{`+c.aux+`}`, 1)
			if code, body := callServer(t, s, "IpamDriver.RequestPool", pool); code != 200 {
				t.Fatalf("RequestPool: %d, %s", code, body)
			}
			code, body := callServer(t, s, "NetworkDriver.CreateNetwork", create)
			if want := c.want; (code == 200) != (want == "") || !strings.Contains(body, want) {
				t.Errorf("CreateNetwork: %d, %s; want %q", code, body, want)
			}
			if code, body = callServer(t, s, "NetworkDriver.CreateNetwork", create); code != 200 {
				t.Errorf("without a range, CreateNetwork: %d, %s", code, body)
			}
		})
	}
}

// TestAReleasedRangeIsForgotten requires that the range of a network that docker did not create is not
// kept.
func TestAReleasedRangeIsForgotten(t *testing.T) {
	s := newServer(t)
	callServer(t, s, "IpamDriver.RequestPool", `{"AddressSpace":"`+space+`","Pool":"192.0.2.0/24","SubPool":"192.0.2.1/32"}`)
	callServer(t, s, "IpamDriver.ReleasePool", `{"PoolID":"`+space+` 192.0.2.0/24 192.0.2.1/32"}`)
	if left := s.ranges.take(space); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
