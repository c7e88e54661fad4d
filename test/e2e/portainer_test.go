//go:build engines

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"berth/specs"
)

// fields is a JSON object of docker's API.
type fields map[string]any

// dockerAPI sends a request to dockerd's socket, as programs do that are no command line, and
// returns the answer. The status must be a success.
func (d *dockerDriver) dockerAPI(t *testing.T, method, path string, body any) (answer fields) {
	t.Helper()
	socket := strings.TrimPrefix(d.Socket(), "unix://")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		must(t, err)
		sent = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://docker"+path, sent)
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	got, err := client.Do(r)
	must(t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	must(t, err)
	if got.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s", method, path, got.Status, text)
	}
	if len(text) > 0 {
		must(t, json.Unmarshal(text, &answer))
	}
	return answer
}

// portainerNetwork is the request by which Portainer's form creates a network: the IPAM driver is
// always docker's own, and fields that are left empty in the form are there all the same.
func portainerNetwork(name, driver string, options map[string]string, config ...fields) fields {
	return fields{
		"Name": name, "Driver": driver, "CheckDuplicate": true, "Internal": false, "Attachable": false, "EnableIPv6": false,
		"IPAM": fields{"Driver": "default", "Config": config}, "Options": options, "Labels": fields{"owner": "portainer"},
	}
}

// portainerContainer is the request by which Portainer's form creates a container.
func portainerContainer(network, address, mac string) fields {
	return fields{
		"Image": "lab", "Cmd": []string{"sleep", "600"}, "Hostname": "", "Domainname": "", "MacAddress": mac, "Env": []string{}, "ExposedPorts": fields{},
		"HostConfig": fields{"NetworkMode": network, "PortBindings": fields{}, "Dns": []string{}, "ExtraHosts": []string{},
			"RestartPolicy": fields{"Name": "no"}},
		"NetworkingConfig": fields{"EndpointsConfig": fields{
			network: fields{"IPAMConfig": fields{"IPv4Address": address, "IPv6Address": ""}, "DriverOpts": fields{"com.docker.network.endpoint.ifname": "net1"}},
		}},
	}
}

// startPortainers creates and starts a container, and returns its id.
func (d *dockerDriver) startPortainers(t *testing.T, name string, request fields) string {
	t.Helper()
	id := d.dockerAPI(t, "POST", "/containers/create?name="+url.QueryEscape(name), request)["Id"].(string)
	d.dockerAPI(t, "POST", "/containers/"+id+"/start", fields{})
	return id
}

// TestNetworkOfDockerPortainer sends dockerd the requests of Portainer, whose forms know no IPAM
// driver: networks in place, of berth's, and by a configuration of their own; containers with
// and without requests; join, leave, and "recreate", which copies the endpoint of the old container.
func TestNetworkOfDockerPortainer(t *testing.T) {
	subnet := fields{"Subnet": "192.0.2.0/24", "Gateway": neighborIP, "IPRange": "192.0.2.64/26"}
	excluding := maps.Clone(subnet)
	excluding["AuxiliaryAddresses"] = fields{"device0": firstOfPool}
	inPlace := map[string]string{"parent": "eth1", "macvlan_mode": "bridge", "conflict_timeout": "0"}
	for name, c := range map[string]struct {
		first  string
		create func(t *testing.T, d *dockerDriver)
	}{
		"form": {secondOfPool, func(t *testing.T, d *dockerDriver) {
			d.dockerAPI(t, "POST", "/networks/create", portainerNetwork("office", d.name, inPlace, excluding))
		}},
		"named": {firstOfPool, func(t *testing.T, d *dockerDriver) {
			d.dockerAPI(t, "POST", "/networks/create", portainerNetwork("office", d.name, map[string]string{"network": "lan"}, subnet))
		}},
		"configuration": {firstOfPool, func(t *testing.T, d *dockerDriver) {
			config := portainerNetwork("config", d.name, inPlace, subnet)
			config["Internal"], config["Attachable"], config["ConfigOnly"] = nil, nil, true
			d.dockerAPI(t, "POST", "/networks/create", config)
			made := portainerNetwork("office", d.name, map[string]string{})
			made["ConfigFrom"], made["Scope"], made["Labels"] = fields{"Network": "config"}, "local", fields{}
			d.dockerAPI(t, "POST", "/networks/create", made)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			d := newDockerDriver(t, s, withBridge)
			before := s.snapshot(t)
			c.create(t, d)
			info := d.dockerAPI(t, "GET", "/info", nil)
			if drivers := fmt.Sprint(info["Plugins"]); !strings.Contains(drivers, d.name) {
				t.Errorf("Portainer offers the drivers %s, want %s too", drivers, d.name)
			}
			d.expectPortainers(t, c.first)
			d.dockerAPI(t, "DELETE", "/networks/office", nil)
			s.expectNothingLeft(t, before)
		})
	}
}

// expectPortainers starts, changes and removes containers on the network office.
func (d *dockerDriver) expectPortainers(t *testing.T, first string) {
	t.Helper()
	s := d.site
	web := d.startPortainers(t, s.id("web"), portainerContainer("office", "", ""))
	shown := s.expectWhole(t, d.Docker, web, web, first)
	d.expectInspected(t, web, "office", shown)
	asked := d.startPortainers(t, s.id("asked"), portainerContainer("office", "192.0.2.70", ""))
	s.expectWhole(t, d.Docker, asked, asked, "192.0.2.70")
	d.dockerAPI(t, "DELETE", "/containers/"+asked+"?force=true&v=true", nil)
	plain := d.startPortainers(t, s.id("plain"), portainerContainer("bridge", "", ""))
	for range 2 {
		d.dockerAPI(t, "POST", "/networks/office/connect", fields{"Container": plain})
		d.expectInspected(t, plain, "office", findEndpoint(t, s.ps(t), plain))
		d.dockerAPI(t, "POST", "/networks/office/disconnect", fields{"Container": plain, "Force": false})
	}
	d.dockerAPI(t, "DELETE", "/containers/"+plain+"?force=true&v=true", nil)
	again := d.recreate(t, web, shown)
	after := s.expectWhole(t, d.Docker, again, again, first)
	if after.MAC != shown.MAC {
		t.Errorf("recreated with the MAC %s, was %s", after.MAC, shown.MAC)
	}
	d.dockerAPI(t, "DELETE", "/containers/"+again+"?force=true&v=true", nil)
}

// recreate replaces a container by one with the same configuration and endpoint, and returns its
// id. docker inspect of the network must show the container before.
func (d *dockerDriver) recreate(t *testing.T, old string, shown specs.Endpoint) string {
	t.Helper()
	network := d.dockerAPI(t, "GET", "/networks/office", nil)
	if text := fmt.Sprint(network["Containers"]); !strings.Contains(text, shown.MAC.String()) || !strings.Contains(text, shown.Addresses[0].String()) {
		t.Errorf("the network shows the containers %s, berth ps %+v", text, shown)
	}
	inspected := d.dockerAPI(t, "GET", "/containers/"+old+"/json", nil)
	name := strings.TrimPrefix(inspected["Name"].(string), "/")
	networks := inspected["NetworkSettings"].(map[string]any)["Networks"].(map[string]any)
	if all := slices.Collect(maps.Keys(networks)); !slices.Equal(all, []string{"office"}) {
		t.Fatalf("the container is on %v", all)
	}
	d.dockerAPI(t, "POST", "/containers/"+old+"/stop?t=1", nil)
	d.dockerAPI(t, "POST", "/containers/"+old+"/rename?name="+name+"-old", nil)
	d.dockerAPI(t, "POST", "/networks/office/disconnect", fields{"Container": old, "Force": true})
	request := fields(inspected["Config"].(map[string]any))
	request["HostConfig"] = inspected["HostConfig"]
	request["NetworkingConfig"] = fields{"EndpointsConfig": networks}
	id := d.startPortainers(t, name, request)
	d.dockerAPI(t, "DELETE", "/containers/"+old, nil)
	return id
}
