package lab

import "testing"

func TestNetworkReady(t *testing.T) {
	for info, want := range map[string]bool{
		`{"status": {"conditions": [{"type": "RuntimeReady", "status": true}, {"type": "NetworkReady", "status": true}]}}`:  true,
		`{"status": {"conditions": [{"type": "RuntimeReady", "status": true}, {"type": "NetworkReady", "status": false}]}}`: false,
		`{"status": {"conditions": [{"type": "RuntimeReady", "status": true}]}}`:                                            false,
		`{}`: false,
		`no`: false,
	} {
		if err := networkReady(info); (err == nil) != want {
			t.Errorf("%s: %v", info, err)
		}
	}
}
