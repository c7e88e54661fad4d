package cli

import (
	"strings"
	"testing"

	"berth/specs"
)

const (
	hexA = "3f2a91c04b7e5d1122334455667788990011223344556677889900aabbccddee"
	hexB = "3f2b00c04b7e5d1122334455667788990011223344556677889900aabbccddee"
)

func TestFindContainer(t *testing.T) {
	all := []specs.Endpoint{
		{ContainerID: hexA, Name: "web", Interface: "net1"},
		{ContainerID: hexA, Name: "web", Interface: "net2"},
		{ContainerID: hexB, Containers: []string{hexB, "sidecar"}, Interface: "net1"},
		{ContainerID: "web-old", Interface: "net1"},
		{ContainerID: "old", Name: "web", Interface: "net1", Phase: specs.PhaseEnded},
		{ContainerID: hexA, Name: "web", Interface: "net9", Phase: specs.PhaseEnded},
	}
	for text, want := range map[string]string{
		hexA:      hexA + "/net1 " + hexA + "/net2",
		"3f2a":    hexA + "/net1 " + hexA + "/net2",
		"web":     hexA + "/net1 " + hexA + "/net2", // the name, not the prefix of web-old
		"web-":    "web-old/net1",
		"sidecar": hexB + "/net1",
		"side":    hexB + "/net1",
		"old":     "old/net1",
	} {
		found, err := findContainer(all, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		var got []string
		for _, e := range found {
			got = append(got, e.ContainerID+"/"+e.Interface)
		}
		mustEqual(t, text, want, strings.Join(got, " "))
	}
	for text, want := range map[string]string{
		"3f2": `"3f2" is the beginning or the name of several containers: ` + hexA + ", " + hexB + "; give a whole ID",
		"db":  `no container has the name "db" or an ID that begins so; berth ps --all lists all containers`,
	} {
		if _, err := findContainer(all, text); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

func TestShortID(t *testing.T) {
	for id, want := range map[string]string{
		hexA:                            "3f2a91c04b7e",
		"berth-demo-web-of-the-company": "berth-demo-web-of-the-company",
		"":                              "",
	} {
		mustEqual(t, id, want, shortID(id))
	}
}
