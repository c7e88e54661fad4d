package config

import (
	"flag"
	"testing"
)

func TestFlags(t *testing.T) {
	var d Dirs
	fs := flag.NewFlagSet("berth", flag.ContinueOnError)
	d.Flags(fs)
	if want := (Dirs{"/etc/berth", "/run/berth", "/sys/fs/bpf/berth"}); d != want {
		t.Errorf("defaults are %+v, want %+v", d, want)
	}
	if err := fs.Parse([]string{"--config", "/c", "--state=/s", "-bpffs", "/b"}); err != nil {
		t.Fatal(err)
	}
	if want := (Dirs{"/c", "/s", "/b"}); d != want {
		t.Errorf("flags give %+v, want %+v", d, want)
	}
}
