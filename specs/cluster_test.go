package specs

import (
	"strings"
	"testing"
)

func TestClusterConfigRefuses(t *testing.T) {
	files := "\nca = \"/ca\"\ncert = \"/cert\"\nkey = \"/key\"\n"
	for text, want := range map[string]string{
		`etcd = ["192.0.2.10:2379"]`:                                       `cluster.etcd[0] "192.0.2.10:2379": want a URL of a member of etcd`,
		`etcd = ["unix:///run/etcd"]`:                                      `cluster.etcd[0] "unix:///run/etcd": want a URL`,
		`etcd = ["https://a:2379", "http://b:2379"]` + files:               `cluster.etcd "https://a:2379, http://b:2379": some URLs have https and some http`,
		`etcd = ["https://a:2379"]`:                                        `cluster.ca "": want the absolute path of a file; etcd's URLs have https`,
		`etcd = ["http://a:2379"]` + files:                                 `cluster.ca "/ca": etcd's URLs do not have https`,
		`etcd = ["https://a:2379"]` + strings.Replace(files, "/c", "c", 1): `cluster.ca "ca": want the absolute path of a file`,
		`etcd = [` + strings.Repeat(`"http://a:2379", `, 17) + `]`:         `cluster.etcd "17": want at most 16 URLs`,
		`node = "a b"`:        `cluster.node "a b": want up to 253 printable ASCII characters`,
		`directory = "berth"`: `cluster.directory "berth": want the absolute path of a directory`,
		`nodes = "a"`:         `line 2: key "cluster.nodes"`,
	} {
		_, err := DecodeConfig([]byte("[cluster]\n" + text + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error\n     %v\nwant %s", text, err, want)
		}
	}
	c, err := DecodeConfig([]byte("[cluster]\netcd = [\"https://a:2379\", \"https://b:2379/\"]" + files))
	if err != nil || !c.Cluster.Enabled() || c.Cluster.Directory != DefaultClusterDirectory {
		t.Errorf("%+v, %v", c.Cluster, err)
	}
	if c := DefaultConfig(); c.Cluster.Enabled() {
		t.Error("a machine without berth.toml is a node")
	}
}
