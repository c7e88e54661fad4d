package specs

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plainlyDecoded decodes data by decodePlainTOML and compares the result with the library's. It
// reports whether decodePlainTOML has read it.
func plainlyDecoded[T any](t *testing.T, data []byte, defaults func() *T) bool {
	t.Helper()
	plain, other := defaults(), defaults()
	ok := decodePlainTOML(data, reflect.ValueOf(plain).Elem())
	if !ok {
		if want := defaults(); !reflect.DeepEqual(plain, want) {
			t.Fatalf("changed, although not read:\n%s", cmp.Diff(want, plain, cmp.Exporter(anyType)))
		}
		return false
	}
	if err := decodeAnyTOML(data, other); err != nil {
		t.Fatalf("the library refuses it: %v\n%s", err, data)
	}
	if !reflect.DeepEqual(plain, other) {
		t.Fatalf("another value than the library's (-library +here):\n%s\nof %s", cmp.Diff(other, plain, cmp.Exporter(anyType)), data)
	}
	return true
}

func anyType(reflect.Type) bool { return true }

func emptyNetwork() *Network { return new(Network) }

func defaultConfig() *Config {
	c := DefaultConfig()
	return &c
}

func TestPlainTOML(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"":                             true,
		"# only a comment\n":           true,
		"parent = \"eth1\"\nmtu = 0\n": true,
		"parent = 'eth1'\nmtu = 1400\nnopromisc = true\nheal = false\nconflict_timeout = \"50ms\"\n" +
			"ipv6_token = \"::7\"\nenforce = [\"mac-spoof\"]\nnamespaces = []\n" +
			"[[route]]\nto = \"198.51.100.0/24\"\nmetric = 7\n[[subnet]] # one\nsubnet = \"192.0.2.0/24\"\n" +
			"exclude = [\"192.0.2.7\", \"192.0.2.96/28\"]\n[[subnet]]\nsubnet = \"2001:db8::/64\"\n": true,
		"parent = \"a\"\nparent = \"b\"\n":         false,
		"Parent = \"a\"\n":                         false,
		"mtu = 0x10\n":                             false,
		"mtu = +1\n":                               false,
		"mtu = 1_000\n":                            false,
		"mtu = 99999999999999999999\n":             false,
		"bc_queue_len = 4294967296\n":              false,
		"mtu = \"1\"\n":                            false,
		"conflict_timeout = 5\n":                   false,
		"driver = \"bridge\"\n":                    false,
		"subnet = [{ subnet = \"192.0.2.0/24\" }]": false,
		"subnet = []\n[[subnet]]\n":                false,
		"[subnet]\n":                               false,
		"[[ipam]]\n":                               false,
		"[sysctls]\n\"net.ipv4.conf.IFNAME.rp_filter\" = 1\n": false,
		"parent = \"eth1": false,
	} {
		if got := plainlyDecoded(t, []byte(text), emptyNetwork); got != want {
			t.Errorf("%q: read %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"[policy]\nnetworks = [\"lan\"]\nstatic_ips = true\n[agent]\nkeep_ended = \"1h\"\nmax_endpoints = 7\n": true,
		"[policy]\n[policy]\n":             false,
		"policy.static_ips = true\n":       false,
		"policy = { static_ips = true }\n": false,
		"[policy.static_ips]\n":            false,
	} {
		if got := plainlyDecoded(t, []byte(text), defaultConfig); got != want {
			t.Errorf("%q: read %v, want %v", text, got, want)
		}
	}
}

// TestWrittenNetworksArePlain holds that the files of "berth network create" are read without the decoder.
func TestWrittenNetworksArePlain(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/good/*.toml")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n, err := DecodeNetwork("lan", data)
		if err != nil || len(n.Sysctls) > 0 { // a file of another kind
			continue
		}
		written, err := EncodeNetwork(n)
		if err != nil {
			t.Fatal(err)
		}
		if !plainlyDecoded(t, written, emptyNetwork) {
			t.Errorf("%s: the decoder is needed for\n%s", path, written)
		}
	}
}

func FuzzPlainTOML(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.toml", "testdata/bad/*.toml"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		plainlyDecoded(t, data, emptyNetwork)
		plainlyDecoded(t, data, defaultConfig)
	})
}
