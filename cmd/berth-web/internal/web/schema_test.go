package web

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"berth/specs"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas returns a schema of specs/schema by its name.
var schemas = sync.OnceValue(func() func(name string) *jsonschema.Schema {
	c := jsonschema.NewCompiler()
	files, err := filepath.Glob("../../../../specs/schema/*.json")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			panic(err)
		}
		if err := c.AddResource("berth:"+strings.TrimSuffix(filepath.Base(file), ".json"), doc); err != nil {
			panic(err)
		}
	}
	feed, history := c.MustCompile("berth:page-feed"), c.MustCompile("berth:page-history")
	return func(name string) *jsonschema.Schema {
		return map[string]*jsonschema.Schema{"page-feed": feed, "page-history": history}[name]
	}
})

// validate compares a text with a schema of specs/schema.
func validate(name string, text []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schemas()(name).Validate(doc)
}

// hostile is a name of which a browser would run a part if it took it for markup.
const hostile = `"><script>window.pwned=1</script><img src=x onerror="window.pwned=1">{{7*7}}${window.pwned=1}`

// pooled is a network with a host shim and a pool of which every kind of address is in use.
func pooled() specs.NetworkStatus {
	at := netip.MustParseAddr
	return specs.NetworkStatus{
		Network: &specs.Network{Name: hostile, Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1", IPAM: specs.IPAMLocal, IPv6: specs.IPv6Off},
		Host: &specs.HostShim{Network: "lan", MTU: 1500, Routes: []netip.Addr{}, Interface: "berth-lan", State: specs.HostEnabled, Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1",
			MAC: specs.MAC{2, 0, 0x5e, 0, 0x53, 1}, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.64/24")}},
		Pools: []specs.PoolStatus{{
			Subnet: netip.MustParsePrefix("192.0.2.0/24"), Range: netip.MustParsePrefix("192.0.2.64/26"), Size: 56, Free: 53,
			Held:     []specs.PoolAddress{{Address: at("192.0.2.64"), Holder: "the host shim"}, {Address: at("192.0.2.65"), Holder: hostile}},
			Foreign:  []specs.PoolAddress{{Address: at("192.0.2.70"), Holder: "docker network web"}},
			Reserved: []specs.PoolAddress{{Address: at("192.0.2.1"), Holder: "the gateway"}},
			Exclude:  []specs.Exclusion{{Prefix: netip.MustParsePrefix("192.0.2.72/29")}},
		}},
	}
}

// fullMessage returns a message with all that one can have.
func fullMessage() Message {
	e := endpointOf("web", 7)
	groups := uint64(3)
	e.GroupPackets, e.Dropped = &groups, e.Violations
	later := endpointOf("web", 9)
	v := NewView(nil, sampleAt(0, e), sampleAt(1, later, endpointOf("old", 1)), counting())
	v.Agent.Problem = "slow"
	v.Networks = []specs.NetworkStatus{pooled()}
	v.Checks = &Checks{Time: begun, Lines: []specs.CheckLine{{Subject: "host", Check: "podman", Result: specs.CheckWarn, Message: "m", Remedy: "r"}}}
	v.Cluster = &specs.ClusterStatus{ID: strings.Repeat("0a", 16), Node: "one", Nodes: []specs.ClusterNode{}, Pools: []specs.ClusterPool{}}
	m := v.Full([]specs.Event{eventOf("web")})
	m.Removed = []uint64{9}
	return m
}

// TestSchemaHoldsTheMessages requires that the schema has all keys of a message, and no other.
func TestSchemaHoldsTheMessages(t *testing.T) {
	t.Parallel()
	m := fullMessage()
	text, err := encodeLine(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate("page-feed", text); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	for i, f := range reflect.VisibleFields(reflect.TypeOf(m)) {
		if reflect.ValueOf(m).Field(i).IsZero() {
			t.Errorf("the test does not set %s", f.Name)
		}
	}
	for name, text := range map[string]string{
		"an unknown key":          `{"time": "2026-01-02T03:04:05Z", "trafic": {}}`,
		"no time":                 `{"removed": [1]}`,
		"rates of no interval":    `{"time": "2026-01-02T03:04:05Z", "moves": [1, 1, 5]}`,
		"a name for an id":        `{"time": "2026-01-02T03:04:05Z", "removed": ["web"]}`,
		"a full one, no version":  `{"time": "2026-01-02T03:04:05Z", "full": true, "agent": {"up": true}}`,
		"a row with its counters": strings.Replace(string(text), `"counted":true`, `"counted":true,"counters":{}`, 1),
	} {
		if validate("page-feed", []byte(text)) == nil {
			t.Errorf("a message with %s passes the schema", name)
		}
	}
}

// TestSchemaOfHistory compares the answer to a request for a history with the schema.
func TestSchemaOfHistory(t *testing.T) {
	t.Parallel()
	h := NewHub(nil)
	for second := range 3 {
		h.history.Add(viewAt(second, map[string]uint64{"web": 5}))
	}
	for _, key := range []string{"web", "unknown"} {
		w := httptest.NewRecorder()
		h.serveHistory(w, httptest.NewRequest("GET", "/history?key="+key, nil))
		var samples []any
		if err := json.Unmarshal(w.Body.Bytes(), &samples); err != nil || (len(samples) > 0) != (key == "web") {
			t.Errorf("%s: %s, %v", key, w.Body, err)
		}
		if err := validate("page-history", w.Body.Bytes()); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if validate("page-history", []byte(`[[1.5, [0]]]`)) == nil {
		t.Error("a sample with one rate passes the schema")
	}
}

// TestNoNetworksAreLeft requires that a viewer learns that the last network is gone.
func TestNoNetworksAreLeft(t *testing.T) {
	t.Parallel()
	status := counting()
	one := NewView(nil, nil, sampleAt(0), status)
	one.Networks = []specs.NetworkStatus{pooled()}
	none := NewView(one, nil, sampleAt(1), status)
	none.Networks = []specs.NetworkStatus{}
	m := changesSince(t, none, one)
	if line, err := encodeLine(m); err != nil || !strings.Contains(string(line), `"networks":[]`) {
		t.Errorf("message %s, %v; want an empty list of networks", line, err)
	}
}
