package specs

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestGoodAnnotations(t *testing.T) {
	var cases []struct {
		Annotations map[string]string
		Selections  []any
	}
	readJSON(t, "testdata/good/annotations.json", &cases)
	for _, c := range cases {
		got, err := ParseAnnotations(c.Annotations)
		if err != nil {
			t.Errorf("%v: %v", c.Annotations, err)
			continue
		}
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var plain []any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		if len(plain)+len(c.Selections) > 0 && !cmp.Equal(c.Selections, plain) {
			t.Errorf("%v: (-want +got)\n%s", c.Annotations, cmp.Diff(c.Selections, plain))
		}
	}
}

func TestBadAnnotations(t *testing.T) {
	var cases []struct {
		Annotations map[string]string
		Error       string
	}
	readJSON(t, "testdata/bad/annotations.json", &cases)
	for _, c := range cases {
		got, err := ParseAnnotations(c.Annotations)
		if err == nil || !strings.Contains(err.Error(), c.Error) {
			t.Errorf("%v: error\n     %v\nwant %s", c.Annotations, err, c.Error)
		}
		if len(got) > 0 && err != nil {
			t.Errorf("%v: selections beside the error: %v", c.Annotations, got)
		}
	}
}

func networkFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "network-*.toml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures in %s: %v", dir, err)
	}
	files := make(map[string][]byte)
	for _, path := range paths {
		if files[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestGoodNetworksKeepTheirMeaning(t *testing.T) {
	for path, data := range networkFiles(t, "good") {
		n, err := DecodeNetwork("lan", data)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		written, err := EncodeNetwork(n)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeNetwork("lan", written)
		if err != nil {
			t.Errorf("%s, written again: %v\n%s", path, err, written)
			continue
		}
		if a, b := asJSON(t, n), asJSON(t, again); a != b {
			t.Errorf("%s changed when written again: (-first +again)\n%s", path, cmp.Diff(a, b))
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The first line of a bad network file is the expected text of its error.
func TestBadNetworks(t *testing.T) {
	for path, data := range networkFiles(t, "bad") {
		first, _ := bufio.NewReader(strings.NewReader(string(data))).ReadString('\n')
		want := strings.TrimSpace(strings.TrimPrefix(first, "# want:"))
		_, err := DecodeNetwork("lan", data)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error\n     %v\nwant %s", path, err, want)
		}
	}
}
