package tree

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSourcesOfBothFormats(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/apt/sources.list": `
# deb http://no.example/debian bookworm main
deb-src http://archive.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg] http://archive.example/debian bookworm main contrib # here
deb	http://security.example/debian-security bookworm-security main
`,
		"etc/apt/sources.list.d/other.list":   "deb [trusted=yes] file:/srv/debian trixie main\n",
		"etc/apt/sources.list.d/ignored.save": "deb http://no.example/debian bookworm main\n",
		"etc/apt/sources.list.d/debian.sources": `# a comment
Types: deb deb-src
URIs: http://one.example/debian
 http://two.example/debian
# in a stanza
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 bWlu
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://no.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://no.example/debian
Suites: trixie
Components: main
`,
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := machineSources(root)
	if err != nil {
		t.Fatal(err)
	}
	key := "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nbWlu\n-----END PGP PUBLIC KEY BLOCK-----"
	want := []source{
		{
			uris: []string{"http://archive.example/debian"}, suites: []string{"bookworm"},
			components: []string{"main", "contrib"}, signedBy: []string{"/keys/a.gpg", "/keys/b.gpg"},
		},
		{
			uris: []string{"http://security.example/debian-security"}, suites: []string{"bookworm-security"},
			components: []string{"main"},
		},
		{
			uris: []string{"http://one.example/debian", "http://two.example/debian"}, suites: []string{"trixie", "trixie-updates"},
			components: []string{"main"}, signedBy: []string{key},
		},
		{uris: []string{"file:/srv/debian"}, suites: []string{"trixie"}, components: []string{"main"}, trusted: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sources:\n%+v\nwant\n%+v", got, want)
	}
}

func TestArchives(t *testing.T) {
	all := parseLines(`deb https://packages.example/apt cloud-sdk-bookworm main
deb http://a.example/debian bookworm main
deb http://b.example/debian bookworm contrib
deb http://s.example/debian-security bookworm-security main
deb http://o.example/security buster/updates main
deb https://packages.example/node nodistro main
`)
	main, security := archives(all)
	if len(main) != 1 || main[0].uris[0] != "http://a.example/debian" {
		t.Errorf("main archives: %+v", main)
	}
	if len(security) != 2 || security[0].uris[0] != "http://s.example/debian-security" {
		t.Errorf("security archives: %+v", security)
	}
}

func TestDearmor(t *testing.T) {
	packet := strings.Repeat("a packet of a key ", 10)
	body := base64.StdEncoding.EncodeToString([]byte(packet))
	block := "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: one\n\n" + body[:64] + "\n" + body[64:] +
		"\n=njUN\n-----END PGP PUBLIC KEY BLOCK-----\n"
	got, err := readKeys(block + "\n" + block)
	if err != nil || string(got) != packet+packet {
		t.Errorf("keys %q, %v", got, err)
	}
}

func TestMirrorList(t *testing.T) {
	name := filepath.Join(t.TempDir(), "debian.list")
	if err := os.WriteFile(name, []byte("# mirrors\nhttp://archive.example/debian/\tpriority:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := plainURI("mirror+file:" + name); err != nil || got != "http://archive.example/debian" {
		t.Errorf("first mirror: %q, %v", got, err)
	}
}

func TestProxyOfApt(t *testing.T) {
	p := parseProxy(`Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128/";
Acquire::http::Proxy::direct.example "DIRECT";
Acquire::http::Proxy::other.example "http://other.example:80";
Acquire::http::Proxy-Auto-Detect "/usr/bin/detector";
Acquire::Retries "3";
Dir::Cache "/var/cache/apt";
`)
	for host, want := range map[string]string{
		"archive.example": "http://proxy.example:3128/", "other.example": "http://other.example:80", "direct.example": "",
	} {
		if got := p.proxyFor("http", host); got != want {
			t.Errorf("proxy for %s: %q, want %q", host, got, want)
		}
	}
	if got := strings.Join(p.lines, "\n"); strings.Contains(got, "Detect") || strings.Contains(got, "Dir::") || !strings.Contains(got, "Retries") {
		t.Errorf("configuration for the tree:\n%s", got)
	}
	if got := p.environment(); !reflect.DeepEqual(got, []string{"http_proxy=http://proxy.example:3128/"}) {
		t.Errorf("environment: %q", got)
	}
}
